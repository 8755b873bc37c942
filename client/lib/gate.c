// SPDX-License-Identifier: MIT
/* Gates: a watch with something to do when it fires. */
#include <errno.h>
#include <linux/videodev2.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <xf86drm.h>
#include <xf86drmMode.h>

#include "error.h"
#include "fence-kms.h"
#include "fence-v4l2.h"
#include "watch-arm.h"

struct commit {
	drmModeAtomicReqPtr request; /* ours */
	uint32_t flags;
	void *user_data;
};

struct queue {
	struct v4l2_buffer buffer;
	struct v4l2_plane planes[VIDEO_MAX_PLANES];
};

struct fbk_gate {
	struct fbk_watch *watch;
	int (*action)(struct fbk_gate *gate); /* NULL: only `done` */
	int fd;
	struct commit commit;
	struct queue queue;
	fbk_point_fn *done;
	void *arg;
};

static void gate_free(void *arg)
{
	struct fbk_gate *gate = arg;
	if (gate->commit.request) {
		drmModeAtomicFree(gate->commit.request);
	}
	free(gate);
}

static void gate_decided(void *arg, struct fbk_point point, int result)
{
	struct fbk_gate *gate = arg;
	fbk_point_fn *done = gate->done;
	void *done_arg = gate->arg;
	if (result == 0 && gate->action) {
		result = gate->action(gate);
	}
	gate_free(gate);
	if (done) {
		done(done_arg, point, result);
	}
}

static struct fbk_gate *gate_new(int fd, fbk_point_fn *done, void *arg)
{
	struct fbk_gate *gate = calloc(1, sizeof(*gate));
	if (gate) {
		gate->fd = fd;
		gate->done = done;
		gate->arg = arg;
	}
	return gate;
}

static int gate_set(struct fbk_gate *gate, struct fbk_point point, uint64_t deadline_ns,
		    struct fbk_gate **ret_gate)
{
	int r = watch_create(point, deadline_ns, gate_decided, gate, gate_free, &gate->watch);
	if (r < 0) {
		gate_free(gate);
		return r;
	}
	if (ret_gate) {
		*ret_gate = gate;
	}
	return 0;
}

static int gate_commit(struct fbk_gate *gate)
{
	const struct commit *commit = &gate->commit;
	int r = drmModeAtomicCommit(gate->fd, commit->request, commit->flags, commit->user_data);
	return r == -1 ? -errno : r;
}

/* With a copy of the request: the caller frees its own at once. NULL: no memory. */
static struct fbk_gate *commit_gate_new(int drm_fd, const struct commit *commit, fbk_point_fn *done,
					void *arg)
{
	struct fbk_gate *gate = gate_new(drm_fd, done, arg);
	if (!gate) {
		return NULL;
	}
	gate->action = gate_commit;
	gate->commit = *commit;
	gate->commit.request = drmModeAtomicDuplicate(commit->request);
	if (!gate->commit.request) {
		gate_free(gate);
		return NULL;
	}
	return gate;
}

int fbk_gate_atomic_commit(struct fbk_point point, uint64_t deadline_ns, int drm_fd,
			   struct _drmModeAtomicReq *request, uint32_t flags, void *user_data,
			   fbk_point_fn *done, void *arg, struct fbk_gate **ret_gate)
{
	struct commit commit = { request, flags, user_data };
	struct fbk_gate *gate = commit_gate_new(drm_fd, &commit, done, arg);
	return gate ? gate_set(gate, point, deadline_ns, ret_gate) : error_plain(-ENOMEM);
}

static int gate_queue(struct fbk_gate *gate)
{
	return ioctl(gate->fd, VIDIOC_QBUF, &gate->queue.buffer) < 0 ? -errno : 0;
}

int fbk_gate_v4l2_queue(struct fbk_point point, uint64_t deadline_ns, int video_fd,
			const struct v4l2_buffer *buffer, fbk_point_fn *done, void *arg,
			struct fbk_gate **ret_gate)
{
	bool planar = V4L2_TYPE_IS_MULTIPLANAR(buffer->type);
	if (planar && (buffer->length > VIDEO_MAX_PLANES || !buffer->m.planes)) {
		return error_set(-EINVAL, "a buffer has 1 to %d planes", VIDEO_MAX_PLANES);
	}
	struct fbk_gate *gate = gate_new(video_fd, done, arg);
	if (!gate) {
		return error_plain(-ENOMEM);
	}
	gate->action = gate_queue;
	gate->queue.buffer = *buffer;
	if (planar) {
		memcpy(gate->queue.planes, buffer->m.planes,
		       buffer->length * sizeof(buffer->m.planes[0]));
		gate->queue.buffer.m.planes = gate->queue.planes;
	}
	return gate_set(gate, point, deadline_ns, ret_gate);
}

void fbk_gate_cancel(struct fbk_gate *gate)
{
	if (gate) {
		fbk_watch_cancel(gate->watch); /* frees the gate */
	}
}
