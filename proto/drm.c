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

static bool syncobj_eventfd_works(struct drm *drm)
{
	uint32_t handle;
	bool works = false;
	int fence = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	eventfd_t count;
	if (fence >= 0 && syncobj_create(drm, &handle) == 0) {
		works = syncobj_signal(drm, handle, 1) == 0 &&
			syncobj_arm_submit(drm, handle, 1, fence) == 0 &&
			eventfd_read(fence, &count) == 0;
		syncobj_close(drm, handle);
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

void drm_open(struct drm *drm)
{
	*drm = (struct drm){ .syncobj = -1, .own_sync_file = -1 };
	drm_find_nodes(drm);
	drm->syncobj = drm_syncobj_open(drm->driver);
	if (drm->syncobj >= 0 && syncobj_create(drm, &drm->scratch) < 0) {
		fd_close(drm->syncobj);
		drm->syncobj = -1;
	}
	drm->eventfd = drm->syncobj >= 0 && syncobj_eventfd_works(drm);
	if (drm_sync_file(drm, &drm->own_sync_file) < 0) {
		drm->own_sync_file = -1;
	}
}

void drm_finish(struct drm *drm)
{
	if (drm->own_sync_file >= 0) {
		fd_close(drm->own_sync_file);
	}
	if (drm->syncobj >= 0) {
		syncobj_close(drm, drm->scratch);
		fd_close(drm->syncobj);
	}
	*drm = (struct drm){ .syncobj = -1, .own_sync_file = -1 };
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

static int any_dmabuf(struct drm *drm)
{
	int dmabuf = drm->vgem[0] ? vgem_dmabuf(drm->vgem) : -1;
	dmabuf = dmabuf < 0 ? udmabuf_dmabuf() : dmabuf;
	return dmabuf < 0 ? -EOPNOTSUPP : dmabuf;
}

int drm_dmabuf_fences(struct drm *drm)
{
	int fd;
	int dmabuf = any_dmabuf(drm);
	int r = dmabuf < 0 ? dmabuf : dmabuf_sync_file(dmabuf, &fd);
	if (r == 0) {
		fd_close(fd);
	}
	return r;
}

int drm_sync_file(struct drm *drm, int *ret_fd)
{
	uint32_t handle;
	if (drm->syncobj >= 0 &&
	    drmSyncobjCreate(drm->syncobj, DRM_SYNCOBJ_CREATE_SIGNALED, &handle) == 0) {
		int r = drm_error(drmSyncobjExportSyncFile(drm->syncobj, handle, ret_fd));
		syncobj_close(drm, handle);
		return r;
	}
	int dmabuf = any_dmabuf(drm);
	return dmabuf < 0 ? dmabuf : dmabuf_sync_file(dmabuf, ret_fd);
}

/* ----------------------------------------------------------------------------------- syncobjs -- */

int syncobj_create(struct drm *drm, uint32_t *ret_handle)
{
	if (drm->syncobj < 0) {
		return -EOPNOTSUPP;
	}
	return drm_error(drmSyncobjCreate(drm->syncobj, 0, ret_handle));
}

int syncobj_open(struct drm *drm, int fd, uint32_t *ret_handle)
{
	if (drm->syncobj < 0) {
		return -EOPNOTSUPP;
	}
	return drm_error(drmSyncobjFDToHandle(drm->syncobj, fd, ret_handle));
}

int syncobj_fd(struct drm *drm, uint32_t handle, int *ret_fd)
{
	return drm_error(drmSyncobjHandleToFD(drm->syncobj, handle, ret_fd));
}

void syncobj_close(struct drm *drm, uint32_t handle)
{
	if (handle) {
		drmSyncobjDestroy(drm->syncobj, handle);
	}
}

int syncobj_signal(struct drm *drm, uint32_t handle, uint64_t point)
{
	return drm_error(drmSyncobjTimelineSignal(drm->syncobj, &handle, &point, 1));
}

int syncobj_value(struct drm *drm, uint32_t handle, uint64_t *ret_value)
{
	return drm_error(drmSyncobjQuery(drm->syncobj, &handle, ret_value, 1));
}

int syncobj_submitted(struct drm *drm, uint32_t handle, uint64_t *ret_point)
{
	return drm_error(drmSyncobjQuery2(drm->syncobj, &handle, ret_point, 1,
					  DRM_SYNCOBJ_QUERY_FLAGS_LAST_SUBMITTED));
}

int syncobj_sync_file(struct drm *drm, uint32_t handle, uint64_t point, int *ret_fd)
{
	int r = 0;
	uint32_t from = handle;
	if (point > 0) {
		r = drm_error(drmSyncobjTransfer(drm->syncobj, drm->scratch, 0, handle, point, 0));
		from = drm->scratch;
	}
	if (r == 0) {
		r = drm_error(drmSyncobjExportSyncFile(drm->syncobj, from, ret_fd));
	}
	if (point > 0) {
		drmSyncobjReset(drm->syncobj, &drm->scratch, 1); /* keep no fence alive */
	}
	return r == -EINVAL ? -ENOENT : r;
}

int syncobj_arm_submit(struct drm *drm, uint32_t handle, uint64_t point, int eventfd)
{
	struct syncobj_eventfd request = { .handle = handle,
					   .flags = DRM_SYNCOBJ_WAIT_FLAGS_WAIT_AVAILABLE,
					   .point = point,
					   .fd = eventfd };
	return drmIoctl(drm->syncobj, IOCTL_SYNCOBJ_EVENTFD, &request) < 0 ? -errno : 0;
}
