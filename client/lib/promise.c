// SPDX-License-Identifier: MIT
/* Promises, and the implicit fences of dma-bufs, which are read and written here, not in the daemon:
 * holding a dma-buf is the right to do so. */
#include <errno.h>
#include <linux/dma-buf.h>
#include <unistd.h>

#include "context.h"
#include "error.h"
#include "proto/fd.h"
#include "proto/ioctl.h"
#include "request.h"
#include "timeline.h"

static int promise(struct fbk_point point, bool implicit, int *ret_fd)
{
	if (!point.timeline) {
		return error_set(-EINVAL, "the signalled point needs no promise");
	}
	REQUEST(request, POINT_PROMISE, point_promise, .handle = point.timeline->handle,
		.value = point.value, .implicit = implicit);
	return request_fd(point.timeline->context, &request, ret_fd);
}

int fbk_point_promise(struct fbk_point point, int *ret_sync_file)
{
	return promise(point, false, ret_sync_file);
}

static int dmabuf_check(struct fbk_context *context, int fd)
{
	int kind = fbk_fence_classify(context, fd);
	if (kind < 0) {
		return kind;
	}
	return kind == FBK_FENCE_DMA_BUF_IMPLICIT
		       ? 0
		       : error_set(-EBADF, "file descriptor %d is not a dma-buf", fd);
}

static int dmabuf_error(const char *what)
{
	return errno == ENOTTY ? error_set(-EOPNOTSUPP,
					   "this kernel cannot %s a dma-buf's fences as a "
					   "sync_file (Linux 6.0 can)",
					   what)
			       : error_plain(-errno);
}

int fbk_point_attach_dmabuf(struct fbk_point point, int dmabuf_fd, bool for_write)
{
	struct dma_buf_import_sync_file import = {
		.flags = for_write ? DMA_BUF_SYNC_WRITE : DMA_BUF_SYNC_READ,
	};
	if (!point.timeline) {
		return error_set(-EINVAL, "the signalled point needs no promise");
	}
	int r = dmabuf_check(point.timeline->context, dmabuf_fd);
	if (r == 0) {
		r = promise(point, true, &import.fd);
	}
	if (r < 0) {
		return r;
	}
	if (ioctl_again(dmabuf_fd, DMA_BUF_IOCTL_IMPORT_SYNC_FILE, &import) < 0) {
		r = dmabuf_error("set");
	}
	fd_close(import.fd);
	return r;
}

int fbk_point_signal_on_dmabuf(struct fbk_point point, int dmabuf_fd, bool for_write)
{
	struct dma_buf_export_sync_file export = {
		.flags = for_write ? DMA_BUF_SYNC_WRITE : DMA_BUF_SYNC_READ,
	};
	if (!point.timeline) {
		return error_set(-EINVAL, "the signalled point cannot follow a fence");
	}
	int r = dmabuf_check(point.timeline->context, dmabuf_fd);
	if (r < 0) {
		return r;
	}
	if (ioctl_again(dmabuf_fd, DMA_BUF_IOCTL_EXPORT_SYNC_FILE, &export) < 0) {
		return dmabuf_error("read");
	}
	return fbk_point_signal_on(point, export.fd);
}
