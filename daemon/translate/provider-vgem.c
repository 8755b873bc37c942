// SPDX-License-Identifier: MIT
/*
 * Unsignalled sync_files from vgem, a test driver in stock kernels. The daemon attaches a fence to one of its buffer
 * objects, as the writer, and exports it from the dma-buf of that object. An object carries one fence at a time, so
 * there is a pool of objects. The kernel reuses no fence number until the file is closed. So after FENCES_PER_FILE a
 * fresh file takes over. The old file is closed when its last fence is signalled; closing it sooner would signal all
 * its fences, as success. So is a file that was not used for a second or two: it would keep the driver from being unloaded.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/dma-buf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xf86drm.h>

#include "client/include/fencebroker.h"
#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "proto/container.h"
#include "proto/ioctl.h"
#include "provider.h"
#include "translator.h"

/* From the kernel's vgem_drm.h, which Debian 12 does not package. */
struct vgem_fence_attach {
	uint32_t handle, flags, out_fence, pad;
};
struct vgem_fence_signal {
	uint32_t fence, flags;
};
#define IOCTL_FENCE_ATTACH DRM_IOWR(DRM_COMMAND_BASE + 1, struct vgem_fence_attach)
#define IOCTL_FENCE_SIGNAL DRM_IOW(DRM_COMMAND_BASE + 2, struct vgem_fence_signal)
#define FENCE_WRITE        1

#define FENCES_PER_FILE 4096
#define IDLE_NS         NS_PER_S
#define OBJECTS_MAX     256 /* fences in flight, for all users */

struct vgem_file {
	int fd;
	unsigned int fences; /* attached so far */
	unsigned int in_flight;
	LIST_HEAD(, vgem_object) free;
};

struct vgem_object {
	LIST_ENTRY(vgem_object) links; /* of the file, while it carries no fence */
	struct vgem_file *file;
	uint32_t handle;
	int dmabuf;
	uint32_t fence;
};

struct vgem {
	struct translator *translator;
	struct vgem_file *current; /* NULL: none is open */
	unsigned int objects;
	struct wheel_timer idle; /* looks whether the file is in use */
	bool used;               /* it was, since that looked last */
};

/* ------------------------------------------------------------------------------ files, objects -- */

static void object_destroy(struct translator *translator, struct vgem_object *object)
{
	struct drm_gem_close request = { .handle = object->handle };
	if (object->dmabuf >= 0) {
		close(object->dmabuf);
		translator->registry->base_fds--;
	}
	drmIoctl(object->file->fd, DRM_IOCTL_GEM_CLOSE, &request);
	translator->vgem->objects--;
	free(object);
}

static int object_create(struct translator *translator, struct vgem_file *file,
			 struct vgem_object **ret_object)
{
	struct drm_mode_create_dumb dumb = { .width = 1, .height = 1, .bpp = 32 };
	if (translator->vgem->objects == OBJECTS_MAX) {
		return -ENOSPC;
	}
	struct vgem_object *object = calloc(1, sizeof(*object));
	if (!object) {
		return -ENOMEM;
	}
	if (drmIoctl(file->fd, DRM_IOCTL_MODE_CREATE_DUMB, &dumb) < 0) {
		int error = -errno;
		free(object);
		return error;
	}
	object->file = file;
	object->handle = dumb.handle;
	object->dmabuf = -1;
	translator->vgem->objects++;
	if (drmPrimeHandleToFD(file->fd, dumb.handle, DRM_CLOEXEC, &object->dmabuf) < 0) {
		int error = -errno;
		object_destroy(translator, object);
		return error;
	}
	translator->registry->base_fds++;
	*ret_object = object;
	return 0;
}

static void file_destroy(struct translator *translator, struct vgem_file *file)
{
	struct vgem_object *object;
	while ((object = LIST_FIRST(&file->free))) {
		LIST_REMOVE(object, links);
		object_destroy(translator, object);
	}
	close(file->fd);
	translator->registry->base_fds--;
	free(file);
}

/* A file that is no longer current is closed after its last fence. */
static void file_put(struct translator *translator, struct vgem_file *file)
{
	if (file != translator->vgem->current && file->in_flight == 0) {
		file_destroy(translator, file);
	}
}

/* An open file keeps the module loaded. */
static void file_idle(struct wheel_timer *timer)
{
	struct vgem *vgem = container_of(timer, struct vgem, idle);
	if (!vgem->used && vgem->current && vgem->current->in_flight == 0) {
		vgem_let_go(vgem->translator);
		return;
	}
	vgem->used = false;
	loop_arm(&vgem->translator->registry->loop, &vgem->idle, clock_now_ns() + IDLE_NS);
}

static int file_current(struct translator *translator, struct vgem_file **ret_file)
{
	struct vgem *vgem = translator->vgem;
	struct vgem_file *old = vgem->current;
	vgem->used = true;
	if (old && old->fences < FENCES_PER_FILE) {
		*ret_file = old;
		return 0;
	}
	struct vgem_file *file = calloc(1, sizeof(*file));
	if (!file) {
		return -ENOMEM;
	}
	file->fd = drm_open_beside(translator->drm.vgem);
	if (file->fd < 0) {
		int error = file->fd;
		free(file);
		return error;
	}
	translator->registry->base_fds++;
	vgem->current = file;
	if (old) {
		file_put(translator, old);
	} else {
		loop_arm(&translator->registry->loop, &vgem->idle, clock_now_ns() + IDLE_NS);
	}
	*ret_file = file;
	return 0;
}

/* ---------------------------------------------------------------------------------- interface -- */

static int vgem_probe(struct translator *translator, char *why)
{
	if (!translator->drm.vgem[0]) {
		snprintf(
			why, FBK_REASON_SIZE,
			"nothing here makes unsignalled sync_files: no vgem device (a test driver: "
			"`modprobe vgem`)");
		return -EOPNOTSUPP;
	}
	if (!translator->vgem) {
		translator->vgem = calloc(1, sizeof(*translator->vgem));
		if (translator->vgem) {
			translator->vgem->translator = translator;
			translator->vgem->idle.fire = file_idle;
		}
	}
	struct vgem_file *file;
	int r = translator->vgem ? file_current(translator, &file) : -ENOMEM;
	if (r < 0) {
		snprintf(why, FBK_REASON_SIZE, "%s can't be opened: %s", translator->drm.vgem,
			 strerrordesc_np(-r));
	}
	return r;
}

static int object_attach(struct vgem_object *object, int *ret_fd)
{
	struct vgem_fence_attach attach = { .handle = object->handle, .flags = FENCE_WRITE };
	if (drmIoctl(object->file->fd, IOCTL_FENCE_ATTACH, &attach) < 0) {
		return -errno;
	}
	object->fence = attach.out_fence;
	object->file->fences++;
	struct dma_buf_export_sync_file request = { .flags = DMA_BUF_SYNC_READ, .fd = -1 };
	if (ioctl_again(object->dmabuf, DMA_BUF_IOCTL_EXPORT_SYNC_FILE, &request) < 0) {
		int error = -errno;
		struct vgem_fence_signal signal = { .fence = object->fence };
		drmIoctl(object->file->fd, IOCTL_FENCE_SIGNAL, &signal);
		return error;
	}
	*ret_fd = request.fd;
	return 0;
}

static int object_take(struct translator *translator, struct vgem_file *file,
		       struct vgem_object **ret_object)
{
	struct vgem_object *object = LIST_FIRST(&file->free);
	if (!object) {
		return object_create(translator, file, ret_object);
	}
	LIST_REMOVE(object, links);
	*ret_object = object;
	return 0;
}

static int vgem_create(struct translator *translator, int *ret_fd, union provided *ret_provided)
{
	struct vgem_file *file;
	struct vgem_object *object = NULL;
	int r = file_current(translator, &file);
	if (r < 0) {
		return r;
	}
	do {
		r = object_take(translator, file, &object);
		if (r < 0) {
			return r;
		}
		r = object_attach(object, ret_fd);
		if (r < 0) {
			object_destroy(translator, object);
		}
	} while (r == -EBUSY); /* its last fence could not be signalled: try another object */
	if (r < 0) {
		return r;
	}
	file->in_flight++;
	ret_provided->pointer = object;
	return 0;
}

/* A vgem fence carries no error: its waiters always see success. */
static int vgem_fire(struct translator *translator, union provided *provided, uint64_t point,
		     int result)
{
	(void)translator;
	(void)point;
	(void)result;
	struct vgem_object *object = provided->pointer;
	struct vgem_fence_signal signal = { .fence = object->fence };
	if (drmIoctl(object->file->fd, IOCTL_FENCE_SIGNAL, &signal) < 0) {
		return errno == ETIMEDOUT ? -ETIME : -errno; /* vgem's own timeout came first */
	}
	return 0;
}

static void vgem_destroy(struct translator *translator, union provided *provided)
{
	struct vgem_object *object = provided->pointer;
	struct vgem_file *file = object->file;
	LIST_INSERT_HEAD(&file->free, object, links);
	file->in_flight--;
	file_put(translator, file);
}

void vgem_let_go(struct translator *translator)
{
	struct vgem *vgem = translator->vgem;
	if (vgem && vgem->current) {
		struct vgem_file *file = vgem->current;
		vgem->current = NULL;
		loop_disarm(&translator->registry->loop, &vgem->idle);
		file_put(translator, file);
	}
}

void vgem_finish(struct translator *translator)
{
	vgem_let_go(translator);
	free(translator->vgem);
	translator->vgem = NULL;
}

const struct provider provider_vgem = {
	.name = "vgem",
	.kind = FBK_FENCE_SYNC_FILE,
	.fds = 2,
	.probe = vgem_probe,
	.create = vgem_create,
	.fire = vgem_fire,
	.destroy = vgem_destroy,
};
