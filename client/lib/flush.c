// SPDX-License-Identifier: MIT
/* Data of devices whose fence may be seen before it. */
#include <errno.h>
#include <linux/dma-buf.h>
#include <stdatomic.h>
#include <sys/ioctl.h>

#include "error.h"
#include "flush.h"
#include "timeline.h"

enum fbk_visibility fbk_timeline_visibility(const struct fbk_timeline *timeline)
{
	return timeline->visibility;
}

static int flush_wanted(struct fbk_point point)
{
	int r = fbk_point_check(point);
	if (r < 0) {
		return r == -EAGAIN ? error_fixed(r, "the point is not reached yet") : r;
	}
	return point.timeline && point.timeline->visibility == FBK_VISIBILITY_FLUSH;
}

int fbk_point_flush(struct fbk_point point, const void *data, size_t size)
{
	int r = flush_wanted(point);
	if (r <= 0 || size == 0) {
		return r < 0 ? r : 0;
	}
	/* The read is answered after the writes that took the same path to the same target before it,
	 * and that is all it flushes: not writes over another PCIe path, not writes with relaxed
	 * ordering, not a NIC's peer-to-peer writes to GPU memory. The two ends of the data may lie
	 * behind different paths, so both are read. */
	const volatile char *bytes = data;
	(void)bytes[0];
	(void)bytes[size - 1];
	/* seq_cst: what is read of the data after this is read after these two */
	atomic_thread_fence(memory_order_seq_cst);
	return 0;
}

static int dmabuf_sync(int dmabuf, uint64_t flags)
{
	struct dma_buf_sync sync = { .flags = flags };
	int r;
	do {
		r = ioctl(dmabuf, DMA_BUF_IOCTL_SYNC, &sync);
	} while (r < 0 && (errno == EINTR || errno == EAGAIN));
	return r < 0 ? -errno : 0;
}

int flush_dmabuf(int dmabuf_fd)
{
	int r = dmabuf_sync(dmabuf_fd, DMA_BUF_SYNC_START | DMA_BUF_SYNC_READ);
	if (r == 0) {
		r = dmabuf_sync(dmabuf_fd, DMA_BUF_SYNC_END | DMA_BUF_SYNC_READ);
	}
	if (r == -ENOTTY) {
		return error_set(-EBADF, "%d is not a dma-buf", dmabuf_fd);
	}
	return r < 0 ? error_plain(r) : 0;
}

int fbk_point_flush_dmabuf(struct fbk_point point, int dmabuf_fd)
{
	int r = flush_wanted(point);
	return r > 0 ? flush_dmabuf(dmabuf_fd) : r;
}
