// SPDX-License-Identifier: MIT
/* Capture and codecs by V4L2, as the end of a point: link libfencebroker. Conventions as in fencebroker.h. */
#pragma once

#include "fencebroker.h"

#ifdef __cplusplus
extern "C" {
#endif
#pragma GCC visibility push(default)

/* A gate that calls VIDIOC_QBUF with a copy of `buffer` (its planes too): a capture buffer goes back to the device once it
 * has no readers. Borrows video_fd until then. */
struct v4l2_buffer;
int fbk_gate_v4l2_queue(struct fbk_point point, uint64_t deadline_ns, int video_fd,
			const struct v4l2_buffer *buffer, fbk_point_fn *done, void *arg,
			struct fbk_gate **ret_gate);

#pragma GCC visibility pop
#ifdef __cplusplus
}
#endif
