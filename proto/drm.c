// SPDX-License-Identifier: MIT
#include "drm.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/dma-buf.h>
#include <linux/udmabuf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xf86drm.h>

#include "fd.h"
#include "ioctl.h"

#define RENDER_FIRST 128
#define RENDER_LAST  191
#define CARDS        64
#define PAGE_BYTES   4096

/* As in the kernel's drm.h since Linux 6.6; the libdrm of Debian 12 does not have it. */
struct syncobj_eventfd {
	uint32_t handle, flags;
	uint64_t point;
	int32_t fd;
	uint32_t pad;
};
#define IOCTL_SYNCOBJ_EVENTFD DRM_IOWR(0xCF, struct syncobj_eventfd)

/* libdrm returns some errors as they are, others as -1 with errno. */
static int drm_error(int r)
{
	if (r >= 0) {
		return 0;
	}
	return r == -1 ? -errno : r;
}

/* ------------------------------------------------------------------------------ what is there -- */

static bool syncobj_eventfd_works(const struct drm *drm)
{
	struct syncobj syncobj;
	bool works = false;
	int fence = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	eventfd_t count;
	if (fence >= 0 && syncobj_create(drm, &syncobj) == 0) {
		works = syncobj_signal(&syncobj, 1) == 0 &&
			syncobj_arm_submit(&syncobj, 1, fence) == 0 &&
			eventfd_read(fence, &count) == 0;
		syncobj_close(&syncobj);
	}
	if (fence >= 0) {
		fd_close(fence);
	}
	return works;
}

/* The next render node from `*number` on that can be opened; -ENODEV: no more. */
static int render_node_open(int *number)
{
	while (*number <= RENDER_LAST) {
		char path[32];
		snprintf(path, sizeof(path), "/dev/dri/renderD%d", (*number)++);
		int fd = fd_open(path, O_RDWR | O_CLOEXEC);
		if (fd >= 0) {
			return fd;
		}
	}
	return -ENODEV;
}

static void driver_name(int fd, char ret_driver[32])
{
	drmVersionPtr version = drmGetVersion(fd);
	snprintf(ret_driver, 32, "%s", version ? version->name : "?");
	drmFreeVersion(version);
}

static bool has_timelines(int fd)
{
	uint64_t timelines = 0;
	return drmGetCap(fd, DRM_CAP_SYNCOBJ_TIMELINE, &timelines) == 0 && timelines;
}

int drm_syncobj_open(char ret_driver[32])
{
	int number = RENDER_FIRST;
	int fd;
	while ((fd = render_node_open(&number)) >= 0) {
		if (has_timelines(fd)) {
			driver_name(fd, ret_driver);
			return fd;
		}
		fd_close(fd);
	}
	return -ENODEV;
}

/* vgem is a device without a bus: its name is its driver's. */
static bool node_is_vgem(int number)
{
	char path[64], target[256];
	snprintf(path, sizeof(path), "/sys/class/drm/renderD%d/device", number);
	ssize_t size = readlink(path, target, sizeof(target) - 1);
	target[size > 0 ? size : 0] = '\0';
	const char *slash = strrchr(target, '/');
	return slash && strcmp(slash, "/vgem") == 0;
}

static void node_card(int number, char *ret_card, size_t size)
{
	for (int card = 0; card < CARDS; card++) {
		char path[64];
		snprintf(path, sizeof(path), "/sys/class/drm/renderD%d/device/drm/card%d", number,
			 card);
		if (access(path, F_OK) == 0) {
			snprintf(ret_card, size, "/dev/dri/card%d", card);
		}
	}
}

/* Opens none of them: that wakes a GPU that sleeps to save power. */
static void drm_find_nodes(struct drm *drm)
{
	for (int number = RENDER_FIRST; number <= RENDER_LAST; number++) {
		char path[32];
		snprintf(path, sizeof(path), "/dev/dri/renderD%d", number);
		bool usable = access(path, R_OK | W_OK) == 0;
		drm->present += usable || errno != ENOENT;
		drm->seen += usable;
		if (usable && node_is_vgem(number)) {
			node_card(number, drm->vgem, sizeof(drm->vgem));
		}
	}
}

bool drm_file_gone(const struct drm_file *file)
{
	uint64_t timelines;
	return drmGetCap(file->fd, DRM_CAP_SYNCOBJ_TIMELINE, &timelines) < 0 && errno == ENODEV;
}

struct drm_file *drm_file_ref(struct drm_file *file)
{
	if (file) {
		/* relaxed: who takes another holds one */
		atomic_fetch_add_explicit(&file->refs, 1, memory_order_relaxed);
	}
	return file;
}

void drm_file_unref(struct drm_file *file)
{
	/* acquire, release: the last holder closes it after all that the others did with it */
	if (file && atomic_fetch_sub_explicit(&file->refs, 1, memory_order_acq_rel) == 1) {
		drmSyncobjDestroy(file->fd, file->scratch);
		fd_close(file->fd);
		free(file);
	}
}

static struct drm_file *drm_file_open(void)
{
	struct drm_file *file = calloc(1, sizeof(*file));
	if (!file) {
		return NULL;
	}
	file->fd = drm_syncobj_open(file->driver);
	if (file->fd < 0) {
		free(file);
		return NULL;
	}
	if (drmSyncobjCreate(file->fd, 0, &file->scratch) < 0) {
		fd_close(file->fd);
		free(file);
		return NULL;
	}
	atomic_init(&file->refs, 1);
	return file;
}

void drm_open(struct drm *ret_drm, const struct drm *before)
{
	*ret_drm = DRM_NONE;
	drm_find_nodes(ret_drm);
	if (before->file && !drm_file_gone(before->file)) {
		ret_drm->file = drm_file_ref(before->file);
	} else {
		ret_drm->file = drm_file_open();
		if (ret_drm->file) {
			ret_drm->file->eventfd = syncobj_eventfd_works(ret_drm);
		}
	}
	int fd;
	ret_drm->sync_files = drm_sync_file(ret_drm, &fd) == 0;
	if (ret_drm->sync_files) {
		ret_drm->own_sync_file = fd;
	} else if (before->own_sync_file >= 0) {
		ret_drm->own_sync_file = fcntl(before->own_sync_file, F_DUPFD_CLOEXEC, 0);
	}
}

void drm_finish(struct drm *drm)
{
	if (drm->own_sync_file >= 0) {
		fd_close(drm->own_sync_file);
	}
	drm_file_unref(drm->file);
	*drm = DRM_NONE;
}

unsigned int drm_fds(const struct drm *drm)
{
	return (drm->own_sync_file >= 0 ? 1U : 0) + (drm->file ? 1U : 0);
}

/* -------------------------------------------------------------------- a sync_file of our own --- */

/* A dma-buf that nobody uses has no fences; what it exports is signalled. */
static int dmabuf_sync_file(int dmabuf, int *ret_fd)
{
	struct dma_buf_export_sync_file request = { .flags = DMA_BUF_SYNC_RW, .fd = -1 };
	int r = ioctl_again(dmabuf, DMA_BUF_IOCTL_EXPORT_SYNC_FILE, &request) < 0 ? -errno : 0;
	fd_close(dmabuf);
	if (r == 0) {
		*ret_fd = request.fd;
	}
	return r;
}

int drm_open_beside(const char *card)
{
	int fd = fd_open(card, O_RDWR | O_CLOEXEC);
	if (fd < 0) {
		return -errno;
	}
	drmDropMaster(fd); /* -EINVAL: another one is it */
	return fd;
}

static int vgem_dmabuf(const char *card)
{
	struct drm_mode_create_dumb dumb = { .width = 1, .height = 1, .bpp = 32 };
	int dmabuf = -1;
	int fd = drm_open_beside(card);
	if (fd < 0) {
		return fd;
	}
	int r = drmIoctl(fd, DRM_IOCTL_MODE_CREATE_DUMB, &dumb) < 0 ? -errno : 0;
	if (r == 0) {
		r = drm_error(drmPrimeHandleToFD(fd, dumb.handle, DRM_CLOEXEC, &dmabuf));
	}
	fd_close(fd);
	return r < 0 ? r : dmabuf;
}

static int udmabuf_dmabuf(void)
{
	int device = fd_open("/dev/udmabuf", O_RDWR | O_CLOEXEC);
	int memory = memfd_create("fencebroker-udmabuf", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int r = -EOPNOTSUPP;
	if (device >= 0 && memory >= 0 && ftruncate(memory, PAGE_BYTES) == 0 &&
	    fcntl(memory, F_ADD_SEALS, F_SEAL_SHRINK) == 0) {
		struct udmabuf_create create = { .memfd = (uint32_t)memory,
						 .flags = UDMABUF_FLAGS_CLOEXEC,
						 .size = PAGE_BYTES };
		r = ioctl_again(device, UDMABUF_CREATE, &create);
		r = r < 0 ? -errno : r;
	}
	if (device >= 0) {
		fd_close(device);
	}
	if (memory >= 0) {
		fd_close(memory);
	}
	return r;
}

static int any_dmabuf(const struct drm *drm)
{
	int dmabuf = drm->vgem[0] ? vgem_dmabuf(drm->vgem) : -1;
	dmabuf = dmabuf < 0 ? udmabuf_dmabuf() : dmabuf;
	return dmabuf < 0 ? -EOPNOTSUPP : dmabuf;
}

int drm_dmabuf_fences(const struct drm *drm)
{
	int fd;
	int dmabuf = any_dmabuf(drm);
	int r = dmabuf < 0 ? dmabuf : dmabuf_sync_file(dmabuf, &fd);
	if (r == 0) {
		fd_close(fd);
	}
	return r;
}

int drm_sync_file(const struct drm *drm, int *ret_fd)
{
	uint32_t handle;
	if (drm->file &&
	    drmSyncobjCreate(drm->file->fd, DRM_SYNCOBJ_CREATE_SIGNALED, &handle) == 0) {
		int r = drm_error(drmSyncobjExportSyncFile(drm->file->fd, handle, ret_fd));
		drmSyncobjDestroy(drm->file->fd, handle);
		return r;
	}
	int dmabuf = any_dmabuf(drm);
	return dmabuf < 0 ? dmabuf : dmabuf_sync_file(dmabuf, ret_fd);
}

/* ----------------------------------------------------------------------------------- syncobjs -- */

int syncobj_create(const struct drm *drm, struct syncobj *ret_syncobj)
{
	uint32_t handle;
	if (!drm->file) {
		return -EOPNOTSUPP;
	}
	int r = drm_error(drmSyncobjCreate(drm->file->fd, 0, &handle));
	if (r == 0) {
		*ret_syncobj = (struct syncobj){ drm_file_ref(drm->file), handle };
	}
	return r;
}

int syncobj_open(const struct drm *drm, int fd, struct syncobj *ret_syncobj)
{
	uint32_t handle;
	if (!drm->file) {
		return -EOPNOTSUPP;
	}
	int r = drm_error(drmSyncobjFDToHandle(drm->file->fd, fd, &handle));
	if (r == 0) {
		*ret_syncobj = (struct syncobj){ drm_file_ref(drm->file), handle };
	}
	return r;
}

int syncobj_fd(const struct syncobj *syncobj, int *ret_fd)
{
	return drm_error(drmSyncobjHandleToFD(syncobj->file->fd, syncobj->handle, ret_fd));
}

void syncobj_close(struct syncobj *syncobj)
{
	if (syncobj->file) {
		drmSyncobjDestroy(syncobj->file->fd, syncobj->handle);
		drm_file_unref(syncobj->file);
		*syncobj = (struct syncobj){ 0 };
	}
}

int syncobj_signal(const struct syncobj *syncobj, uint64_t point)
{
	return drm_error(drmSyncobjTimelineSignal(syncobj->file->fd, &syncobj->handle, &point, 1));
}

int syncobj_value(const struct syncobj *syncobj, uint64_t *ret_value)
{
	uint32_t handle = syncobj->handle; /* libdrm takes no pointer to a constant one */
	return drm_error(drmSyncobjQuery(syncobj->file->fd, &handle, ret_value, 1));
}

int syncobj_submitted(const struct syncobj *syncobj, uint64_t *ret_point)
{
	uint32_t handle = syncobj->handle;
	return drm_error(drmSyncobjQuery2(syncobj->file->fd, &handle, ret_point, 1,
					  DRM_SYNCOBJ_QUERY_FLAGS_LAST_SUBMITTED));
}

int syncobj_sync_file(const struct syncobj *syncobj, uint64_t point, int *ret_fd)
{
	const struct drm_file *file = syncobj->file;
	int r = 0;
	uint32_t from = syncobj->handle;
	if (point > 0) {
		r = drm_error(drmSyncobjTransfer(file->fd, file->scratch, 0, from, point, 0));
		from = file->scratch;
	}
	if (r == 0) {
		r = drm_error(drmSyncobjExportSyncFile(file->fd, from, ret_fd));
	}
	if (point > 0) {
		drmSyncobjReset(file->fd, &file->scratch, 1); /* keep no fence alive */
	}
	return r == -EINVAL ? -ENOENT : r;
}

int syncobj_arm_submit(const struct syncobj *syncobj, uint64_t point, int eventfd)
{
	struct syncobj_eventfd request = { .handle = syncobj->handle,
					   .flags = DRM_SYNCOBJ_WAIT_FLAGS_WAIT_AVAILABLE,
					   .point = point,
					   .fd = eventfd };
	return drmIoctl(syncobj->file->fd, IOCTL_SYNCOBJ_EVENTFD, &request) < 0 ? -errno : 0;
}
