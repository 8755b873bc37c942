// SPDX-License-Identifier: MIT
/* A gate that queues a buffer to a capture device or codec. */
#include <errno.h>
#include <linux/videodev2.h>
#include <stdlib.h>
#include <string.h>

#include "error.h"
#include "fence-v4l2.h"
#include "gate.h"
#include "proto/container.h"
#include "proto/ioctl.h"

struct queue_gate {
	struct fbk_gate gate;
	int fd;
	struct v4l2_buffer buffer;
	struct v4l2_plane planes[VIDEO_MAX_PLANES];
};

static int queue_act(struct fbk_gate *gate)
{
	struct queue_gate *queue = container_of(gate, struct queue_gate, gate);
	return ioctl_again(queue->fd, VIDIOC_QBUF, &queue->buffer) < 0 ? -errno : 0;
}

int fbk_gate_v4l2_queue(struct fbk_point point, uint64_t deadline_ns, int video_fd,
			const struct v4l2_buffer *buffer, fbk_point_fn *done, void *arg,
			struct fbk_gate **ret_gate)
{
	bool planar = V4L2_TYPE_IS_MULTIPLANAR(buffer->type);
	if (planar && (buffer->length > VIDEO_MAX_PLANES || !buffer->m.planes)) {
		return error_set(-EINVAL, "a buffer has 1 to %d planes", VIDEO_MAX_PLANES);
	}
	struct queue_gate *queue = calloc(1, sizeof(*queue));
	if (!queue) {
		return error_plain(-ENOMEM);
	}
	queue->gate.act = queue_act;
	queue->fd = video_fd;
	queue->buffer = *buffer;
	if (planar) {
		memcpy(queue->planes, buffer->m.planes,
		       buffer->length * sizeof(buffer->m.planes[0]));
		queue->buffer.m.planes = queue->planes;
	}
	return gate_begin(&queue->gate,
			  &(struct gate_request){ point, deadline_ns, done, arg, ret_gate });
}
