// SPDX-License-Identifier: MIT
#include "lib-kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/dma-buf.h>
#include <linux/sync_file.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/utsname.h>
#include <unistd.h>
#include <xf86drm.h>

#include "tests/integration/lib-daemon.h"

#define DEVICES 16 /* devices of one kind that are tried */

/* From the kernel's vgem_drm.h, and what Debian 12's headers lack. */
struct vgem_fence_attach {
	uint32_t handle;
	uint32_t flags;
	uint32_t out_fence;
	uint32_t pad;
};

struct vgem_fence_signal {
	uint32_t fence;
	uint32_t flags;
};

struct syncobj_eventfd {
	uint32_t handle;
	uint32_t flags;
	uint64_t point;
	int32_t fd;
	uint32_t pad;
};

struct set_deadline {
	uint64_t deadline_ns;
	uint64_t pad;
};

#define VGEM_FENCE_WRITE  1
#define VGEM_FENCE_ATTACH DRM_IOWR(DRM_COMMAND_BASE + 1, struct vgem_fence_attach)
#define VGEM_FENCE_SIGNAL DRM_IOW(DRM_COMMAND_BASE + 2, struct vgem_fence_signal)
#define SYNCOBJ_EVENTFD   DRM_IOWR(0xcf, struct syncobj_eventfd)
#define SET_DEADLINE      _IOW('>', 5, struct set_deadline)

static int call(int fd, unsigned long request, void *argument)
{
	int r;
	do {
		r = ioctl(fd, request, argument);
	} while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : r;
}

/* ----------------------------------------------------------------------------------- the guest -- */

const char *guest_kernel(void)
{
	return getenv("FBK_VM");
}

bool in_guest(void)
{
	return guest_kernel() && access("/dev/virtio-ports/guest", F_OK) == 0;
}

bool kernel_is(unsigned int major, unsigned int minor)
{
	struct utsname name;
	unsigned int its_major, its_minor;
	EXPECT(uname(&name) == 0);
	EXPECT(sscanf(name.release, "%u.%u", &its_major, &its_minor) == 2);
	return its_major > major || (its_major == major && its_minor >= minor);
}

int skip(const char *reason, ...)
{
	va_list arguments;
	va_start(arguments, reason);
	fputs("SKIPPED: ", stdout);
	vprintf(reason, arguments);
	putchar('\n');
	va_end(arguments);
	return 77;
}

/* --------------------------------------------------------------------------------- DRM devices -- */

static bool driver_is(int fd, const char *driver)
{
	drmVersion *version = drmGetVersion(fd);
	bool same = version && strcmp(version->name, driver) == 0;
	drmFreeVersion(version);
	return same;
}

static int device_open(const char *format, int first, const char *driver)
{
	for (int i = 0; i < DEVICES; i++) {
		char path[64];
		snprintf(path, sizeof(path), format, first + i);
		int fd = open(path, O_RDWR | O_CLOEXEC);
		if (fd >= 0 && driver_is(fd, driver)) {
			return fd;
		}
		if (fd >= 0) {
			close(fd);
		}
	}
	return -ENODEV;
}

int drm_card_open(const char *driver)
{
	return device_open("/dev/dri/card%d", 0, driver);
}

int drm_render_open(const char *driver)
{
	return device_open("/dev/dri/renderD%d", 128, driver);
}

int drm_card_must_open(const char *driver)
{
	int fd = drm_card_open(driver);
	ck_assert_msg(fd >= 0, "no DRM device of driver %s", driver);
	return fd;
}

uint64_t drm_cap(int fd, uint64_t capability)
{
	uint64_t value = 0;
	return drmGetCap(fd, capability, &value) == 0 ? value : 0;
}

/* ---------------------------------------------------------------------------------- vgem fences -- */

int vgem_buffer_create(int card, uint32_t *ret_buffer, int *ret_dmabuf)
{
	struct drm_mode_create_dumb dumb = { .width = 1, .height = 1, .bpp = 32 };
	int dmabuf;
	int r = call(card, DRM_IOCTL_MODE_CREATE_DUMB, &dumb);
	if (r < 0) {
		return r;
	}
	if (drmPrimeHandleToFD(card, dumb.handle, DRM_CLOEXEC | DRM_RDWR, &dmabuf) < 0) {
		r = -errno;
		drm_buffer_close(card, dumb.handle);
		return r;
	}
	*ret_buffer = dumb.handle;
	*ret_dmabuf = dmabuf;
	return 0;
}

void drm_buffer_close(int card, uint32_t buffer)
{
	struct drm_gem_close close = { .handle = buffer };
	EXPECT(call(card, DRM_IOCTL_GEM_CLOSE, &close) == 0);
}

int vgem_fence_attach(int card, uint32_t buffer, bool write, uint32_t *ret_id)
{
	struct vgem_fence_attach attach = {
		.handle = buffer,
		.flags = write ? VGEM_FENCE_WRITE : 0,
	};
	int r = call(card, VGEM_FENCE_ATTACH, &attach);
	if (r == 0) {
		*ret_id = attach.out_fence;
	}
	return r;
}

int vgem_signal(int card, uint32_t id)
{
	struct vgem_fence_signal signal = { .fence = id };
	return call(card, VGEM_FENCE_SIGNAL, &signal);
}

void vgem_fence_create(int card, struct vgem_fence *ret_fence)
{
	*ret_fence = (struct vgem_fence){ .card = card };
	EXPECT(vgem_buffer_create(card, &ret_fence->buffer, &ret_fence->dmabuf) == 0);
	EXPECT(vgem_fence_attach(card, ret_fence->buffer, true, &ret_fence->id) == 0);
	ret_fence->sync_file = dmabuf_export_sync_file(ret_fence->dmabuf, false);
	EXPECT(ret_fence->sync_file >= 0);
}

int vgem_fence_signal(struct vgem_fence *fence)
{
	return vgem_signal(fence->card, fence->id);
}

void vgem_fence_destroy(struct vgem_fence *fence)
{
	if (!fence || fence->buffer == 0) {
		return;
	}
	close(fence->sync_file);
	close(fence->dmabuf);
	drm_buffer_close(fence->card, fence->buffer);
	*fence = (struct vgem_fence){ 0 };
}

/* ------------------------------------------------------------------------ the test driver's own -- */

int test_fence_open(void)
{
	int fd = open("/dev/fbk-test-fence", O_RDWR | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int test_fence_create(int device, uint32_t *ret_id)
{
	struct fbk_test_fence_create create;
	int r = call(device, FBK_TEST_FENCE_CREATE, &create);
	if (r < 0) {
		return r;
	}
	*ret_id = create.id;
	return create.fd;
}

int test_fence_signal(int device, uint32_t id, int error)
{
	struct fbk_test_fence_signal signal = { .id = id, .error = error };
	return call(device, FBK_TEST_FENCE_SIGNAL, &signal);
}

int test_fence_deadline(int device, uint32_t id, uint64_t *ret_deadline_ns)
{
	struct fbk_test_fence_deadline deadline = { .id = id };
	int r = call(device, FBK_TEST_FENCE_DEADLINE, &deadline);
	if (r == 0) {
		*ret_deadline_ns = deadline.deadline_ns;
	}
	return r;
}

int test_buffer_create(int device, uint64_t size, bool unmapped)
{
	struct fbk_test_buffer_create create = { .size = size, .unmapped = unmapped };
	int r = call(device, FBK_TEST_BUFFER_CREATE, &create);
	return r < 0 ? r : create.fd;
}

int test_buffer_revoke(int device, int dmabuf)
{
	struct fbk_test_buffer_revoke revoke = { .fd = dmabuf };
	return call(device, FBK_TEST_BUFFER_REVOKE, &revoke);
}

/* ------------------------------------------------------------------------ sync_files, dma-bufs -- */

int sync_file_info(int fd, struct sync_file_state *ret_state)
{
	struct sync_fence_info fences[16];
	struct sync_file_info info = { 0 };
	int r = call(fd, SYNC_IOC_FILE_INFO, &info);
	if (r < 0) {
		return r;
	}
	EXPECT(info.num_fences >= 1 && info.num_fences <= 16);
	info.sync_fence_info = (uintptr_t)fences;
	r = call(fd, SYNC_IOC_FILE_INFO, &info);
	if (r < 0) {
		return r;
	}
	*ret_state = (struct sync_file_state){
		.status = info.status,
		.fences = info.num_fences,
		.fence_status = fences[0].status,
		.timestamp_ns = fences[0].timestamp_ns,
	};
	memcpy(ret_state->name, info.name, sizeof(info.name));
	memcpy(ret_state->driver, fences[0].driver_name, sizeof(fences[0].driver_name));
	memcpy(ret_state->timeline, fences[0].obj_name, sizeof(fences[0].obj_name));
	return 0;
}

int sync_file_status(int fd)
{
	struct sync_file_info info = { 0 };
	EXPECT(call(fd, SYNC_IOC_FILE_INFO, &info) == 0);
	return info.status;
}

bool sync_file_wait(int fd, unsigned int timeout_ms)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };
	int r = poll(&poll_fd, 1, (int)timeout_ms);
	EXPECT(r >= 0);
	return r == 1;
}

int sync_file_merge(int first, int second)
{
	struct sync_merge_data merge = { .name = "merged", .fd2 = second };
	int r = call(first, SYNC_IOC_MERGE, &merge);
	return r < 0 ? r : merge.fence;
}

int sync_file_set_deadline(int fd, uint64_t deadline_ns)
{
	struct set_deadline deadline = { .deadline_ns = deadline_ns };
	return call(fd, SET_DEADLINE, &deadline);
}

int dmabuf_export_sync_file(int dmabuf, bool write)
{
	struct dma_buf_export_sync_file export = {
		.flags = write ? DMA_BUF_SYNC_WRITE : DMA_BUF_SYNC_READ,
		.fd = -1,
	};
	int r = call(dmabuf, DMA_BUF_IOCTL_EXPORT_SYNC_FILE, &export);
	return r < 0 ? r : export.fd;
}

int dmabuf_import_sync_file(int dmabuf, int sync_file, bool write)
{
	struct dma_buf_import_sync_file import = {
		.flags = write ? DMA_BUF_SYNC_WRITE : DMA_BUF_SYNC_READ,
		.fd = sync_file,
	};
	return call(dmabuf, DMA_BUF_IOCTL_IMPORT_SYNC_FILE, &import);
}

/* ------------------------------------------------------------------------------------ syncobjs -- */

int syncobj_eventfd(int drm, uint32_t handle, uint64_t point, int eventfd)
{
	struct syncobj_eventfd arm = { .handle = handle, .point = point, .fd = eventfd };
	return call(drm, SYNCOBJ_EVENTFD, &arm);
}

int syncobj_query(int drm, uint32_t handle, uint64_t *ret_point)
{
	struct drm_syncobj_timeline_array query = {
		.handles = (uintptr_t)&handle,
		.points = (uintptr_t)ret_point,
		.count_handles = 1,
	};
	return call(drm, DRM_IOCTL_SYNCOBJ_QUERY, &query);
}

/* A sync_file goes in and out through a binary syncobj: before 6.16 there is no direct way. */
int syncobj_import_point(int drm, uint32_t handle, uint64_t point, int sync_file)
{
	uint32_t binary;
	if (drmSyncobjCreate(drm, 0, &binary) < 0) {
		return -errno;
	}
	int r = drmSyncobjImportSyncFile(drm, binary, sync_file) < 0 ? -errno : 0;
	if (r == 0) {
		r = drmSyncobjTransfer(drm, handle, point, binary, 0, 0) < 0 ? -errno : 0;
	}
	drmSyncobjDestroy(drm, binary);
	return r;
}

int syncobj_export_point(int drm, uint32_t handle, uint64_t point)
{
	uint32_t binary;
	int fd = -1;
	if (drmSyncobjCreate(drm, 0, &binary) < 0) {
		return -errno;
	}
	int r = drmSyncobjTransfer(drm, binary, 0, handle, point, 0) < 0 ? -errno : 0;
	if (r == 0) {
		r = drmSyncobjExportSyncFile(drm, binary, &fd) < 0 ? -errno : fd;
	}
	drmSyncobjDestroy(drm, binary);
	return r;
}
