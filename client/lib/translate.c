// SPDX-License-Identifier: MIT
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "context.h"
#include "error.h"
#include "proto/wire.h"
#include "request.h"
#include "timeline.h"

int fbk_fence_classify(struct fbk_context *context, int fd)
{
	char what[64];
	int kind;
	int r = classify_fd(&context->classifier, fd, &kind, what, sizeof(what));
	if (r < 0) {
		return error_set(r, "file descriptor %d is %s, not a fence", fd, what);
	}
	return kind;
}

static int signal_on(struct fbk_point point, const int *fds, size_t count, uint64_t syncobj_point)
{
	if (!point.timeline) {
		return error_set(-EINVAL, "the signalled point cannot follow a fence");
	}
	if (count == 0 || count > FBK_FENCES_MAX) {
		return error_set(-EINVAL, "a point follows 1 to %d fences at once, not %zu",
				 FBK_FENCES_MAX, count);
	}
	for (size_t i = 0; i < count; i++) {
		/* Asked here first: sending a closed fd would only say EBADF. */
		int r = fbk_fence_classify(point.timeline->context, fds[i]);
		if (r < 0) {
			return r;
		}
	}
	REQUEST(request, POINT_SIGNAL_ON, point_signal_on, .handle = point.timeline->handle,
		.value = point.value, .syncobj_point = syncobj_point);
	return request_do_fds(point.timeline->context, &request, fds, count);
}

int fbk_point_signal_on_all(struct fbk_point point, const int *fence_fds, size_t count)
{
	int r = signal_on(point, fence_fds, count, 0);
	for (size_t i = 0; i < count; i++) {
		if (fence_fds[i] >= 0) {
			close(fence_fds[i]);
		}
	}
	return r;
}

int fbk_point_signal_on(struct fbk_point point, int fence_fd)
{
	return fbk_point_signal_on_all(point, &fence_fd, 1);
}

int fbk_point_signal_on_syncobj(struct fbk_point point, int syncobj_fd, uint64_t syncobj_point)
{
	int kind = point.timeline ? fbk_fence_classify(point.timeline->context, syncobj_fd) : 0;
	if (kind < 0) {
		return kind;
	}
	if (point.timeline && kind != FBK_FENCE_SYNCOBJ_TIMELINE) {
		return error_set(-EBADF, "file descriptor %d is not a drm_syncobj", syncobj_fd);
	}
	return signal_on(point, &syncobj_fd, 1, syncobj_point);
}

int fbk_import(struct fbk_device *device, int fence_fd, struct fbk_point *ret_point)
{
	struct fbk_point point = { .value = 1 };
	int r = fbk_timeline_create(device, NULL, "import", FBK_TIMELINE_BROKERED, &point.timeline);
	if (r == 0) {
		r = signal_on(point, &fence_fd, 1, 0);
		if (r < 0) {
			fbk_timeline_close(point.timeline);
		}
	}
	if (fence_fd >= 0) {
		close(fence_fd);
	}
	if (r == 0) {
		*ret_point = point;
	}
	return r;
}

int fbk_point_blame(struct fbk_point point, char *ret_text, size_t text_size)
{
	struct reply reply;
	if (!point.timeline) {
		return error_set(-EINVAL, "the signalled point has no signaler to blame");
	}
	REQUEST(request, POINT_BLAME, point_blame, .handle = point.timeline->handle,
		.value = point.value);
	int r = request_call(point.timeline->context, &request, NULL, 0, 0, &reply);
	if (r < 0) {
		return r;
	}
	if (reply.message->body_case == FBK__WIRE__MESSAGE__BODY_TEXT) {
		wire_text_copy(ret_text, text_size, reply.message->text->text);
	} else {
		r = error_set(-EPROTO, "the daemon's reply has no blame text");
	}
	reply_finish(&reply);
	return r;
}
