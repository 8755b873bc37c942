// SPDX-License-Identifier: MIT
/*
 * Kernel fences made by a program, in place of hardware that makes them. vgem, a test driver of the
 * kernel, attaches a fence to a buffer as its writer, and signals it on request; the buffer's dma-buf
 * exports it as a sync_file. A buffer carries one fence at a time, so there is a pool.
 *
 * Unlike real hardware: after 10 s, and when the program ends, the kernel signals the remaining fences,
 * as success.
 */
#include <bsd/sys/queue.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/dma-buf.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <xf86drm.h>

#include "fence.h"

#define CARDS 16 /* to try */

/* As in the kernel's vgem_drm.h, which the headers of Debian 12 leave out. */
struct vgem_fence_attach {
	uint32_t handle, flags, out_fence, pad;
};
struct vgem_fence_signal {
	uint32_t fence, flags;
};
#define IOCTL_FENCE_ATTACH DRM_IOWR(DRM_COMMAND_BASE + 1, struct vgem_fence_attach)
#define IOCTL_FENCE_SIGNAL DRM_IOW(DRM_COMMAND_BASE + 2, struct vgem_fence_signal)
#define FENCE_WRITE        1

struct buffer {
	SLIST_ENTRY(buffer) links; /* in the pool of buffers without a fence */
	uint32_t handle, fence;
	int dmabuf;
	bool signalled;
};

struct fence_maker {
	int card;
	SLIST_HEAD(, buffer) free;
};

static bool is_vgem(int fd)
{
	drmVersion *version = drmGetVersion(fd);
	bool is = version && strcmp(version->name, "vgem") == 0;
	drmFreeVersion(version);
	return is;
}

static int card_open(void)
{
	for (int i = 0; i < CARDS; i++) {
		char path[32];
		snprintf(path, sizeof(path), "/dev/dri/card%d", i);
		int fd = open(path, O_RDWR | O_CLOEXEC);
		if (fd >= 0 && is_vgem(fd)) {
			drmDropMaster(fd); /* the first who opens a card is its master */
			return fd;
		}
		if (fd >= 0) {
			close(fd);
		}
	}
	return -ENODEV;
}

static int maker_open(struct fence_maker **ret_maker, char *error, size_t error_size)
{
	int card = card_open();
	if (card < 0) {
		snprintf(error, error_size,
			 "nothing here makes kernel fences: no vgem device that can be opened "
			 "(`modprobe vgem`; it is a test driver)");
		return card;
	}
	struct fence_maker *maker = calloc(1, sizeof(*maker));
	if (!maker) {
		close(card);
		return -ENOMEM;
	}
	maker->card = card;
	*ret_maker = maker;
	return 0;
}

/* ------------------------------------------------------------------------------------ buffers -- */

static void buffer_destroy(struct fence_maker *maker, struct buffer *buffer)
{
	struct drm_gem_close request = { .handle = buffer->handle };
	close(buffer->dmabuf);
	drmIoctl(maker->card, DRM_IOCTL_GEM_CLOSE, &request);
	free(buffer);
}

static int buffer_create(struct fence_maker *maker, struct buffer **ret_buffer)
{
	struct drm_mode_create_dumb dumb = { .width = 1, .height = 1, .bpp = 32 };
	struct buffer *buffer = calloc(1, sizeof(*buffer));
	if (!buffer) {
		return -ENOMEM;
	}
	if (drmIoctl(maker->card, DRM_IOCTL_MODE_CREATE_DUMB, &dumb) < 0) {
		int r = -errno;
		free(buffer);
		return r;
	}
	buffer->handle = dumb.handle;
	if (drmPrimeHandleToFD(maker->card, dumb.handle, DRM_CLOEXEC, &buffer->dmabuf) < 0) {
		int r = -errno;
		buffer->dmabuf = -1;
		buffer_destroy(maker, buffer);
		return r;
	}
	*ret_buffer = buffer;
	return 0;
}

static void buffer_signal(struct fence_maker *maker, struct buffer *buffer)
{
	struct vgem_fence_signal request = { .fence = buffer->fence };
	/* ETIMEDOUT: the kernel signalled it ten seconds ago; the point has failed by then */
	drmIoctl(maker->card, IOCTL_FENCE_SIGNAL, &request);
	buffer->signalled = true;
}

static int buffer_attach(struct fence_maker *maker, struct buffer *buffer, int *ret_fd)
{
	struct vgem_fence_attach attach = { .handle = buffer->handle, .flags = FENCE_WRITE };
	struct dma_buf_export_sync_file export = { .flags = DMA_BUF_SYNC_READ, .fd = -1 };
	if (drmIoctl(maker->card, IOCTL_FENCE_ATTACH, &attach) < 0) {
		return -errno;
	}
	buffer->fence = attach.out_fence;
	buffer->signalled = false;
	if (drmIoctl(buffer->dmabuf, DMA_BUF_IOCTL_EXPORT_SYNC_FILE, &export) < 0) {
		int r = -errno;
		buffer_signal(maker, buffer);
		return r;
	}
	*ret_fd = export.fd;
	return 0;
}

/* ------------------------------------------------------------------------------------- fences -- */

static int fence_create(struct fence_maker *maker, struct fence *ret_fence, int *ret_fd)
{
	struct buffer *buffer = SLIST_FIRST(&maker->free);
	int r = 0;
	if (buffer) {
		SLIST_REMOVE_HEAD(&maker->free, links);
	} else {
		r = buffer_create(maker, &buffer);
	}
	if (r < 0) {
		return r;
	}
	r = buffer_attach(maker, buffer, ret_fd);
	if (r < 0) {
		buffer_destroy(maker, buffer);
		return r;
	}
	*ret_fence = (struct fence){ .maker = maker, .object = buffer };
	return 0;
}

static void fence_signal(struct fence *fence)
{
	buffer_signal(fence->maker, fence->object);
}

static void fence_finish(struct fence *fence)
{
	struct buffer *buffer = fence->object;
	if (!buffer) {
		return;
	}
	if (buffer->signalled) {
		SLIST_INSERT_HEAD(&fence->maker->free, buffer, links);
	} else {
		buffer_destroy(fence->maker, buffer); /* its fence lives on */
	}
	*fence = (struct fence){ 0 };
}

static void maker_close(struct fence_maker *maker)
{
	if (!maker) {
		return;
	}
	while (!SLIST_EMPTY(&maker->free)) {
		struct buffer *buffer = SLIST_FIRST(&maker->free);
		SLIST_REMOVE_HEAD(&maker->free, links);
		buffer_destroy(maker, buffer);
	}
	close(maker->card);
	free(maker);
}

const struct fence_kind fence_sync_file = {
	.name = "sync_file",
	.open = maker_open,
	.create = fence_create,
	.signal = fence_signal,
	.finish = fence_finish,
	.close = maker_close,
};
