// SPDX-License-Identifier: MIT
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "internal.h"
#include "proto/wire.h"
#include "request.h"

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

static int signal_on(struct fbk_point point, int fence_fd)
{
	Fbk__Wire__PointSignalOn body = FBK__WIRE__POINT_SIGNAL_ON__INIT;
	Fbk__Wire__Request request = FBK__WIRE__REQUEST__INIT;
	struct reply reply;
	if (!point.timeline) {
		return error_set(-EINVAL, "the signalled point cannot follow a fence");
	}
	/* Asked here first: sending a closed fd would only say EBADF. */
	int r = fbk_fence_classify(point.timeline->context, fence_fd);
	if (r < 0) {
		return r;
	}
	body.handle = point.timeline->handle;
	body.value = point.value;
	request.body_case = FBK__WIRE__REQUEST__BODY_POINT_SIGNAL_ON;
	request.point_signal_on = &body;
	r = request_call(point.timeline->context, &request, &fence_fd, 1, 0, &reply);
	if (r == 0) {
		reply_finish(&reply);
	}
	return r;
}

int fbk_point_signal_on(struct fbk_point point, int fence_fd)
{
	int r = signal_on(point, fence_fd);
	if (fence_fd >= 0) {
		close(fence_fd);
	}
	return r;
}

int fbk_import(struct fbk_device *device, int fence_fd, struct fbk_point *ret_point)
{
	struct fbk_point point = { .value = 1 };
	int r = fbk_timeline_create(device, NULL, "import", FBK_TIMELINE_BROKERED, &point.timeline);
	if (r == 0) {
		r = signal_on(point, fence_fd);
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

int fbk_point_fail(struct fbk_point point, int error)
{
	if (!point.timeline) {
		return error_set(-EINVAL, "the signalled point cannot fail");
	}
	return fbk_timeline_fail(point.timeline, error, NULL);
}

int fbk_point_blame(struct fbk_point point, char *ret_text, size_t text_size)
{
	Fbk__Wire__PointBlame body = FBK__WIRE__POINT_BLAME__INIT;
	Fbk__Wire__Request request = FBK__WIRE__REQUEST__INIT;
	struct reply reply;
	if (!point.timeline) {
		return error_set(-EINVAL, "nobody is to blame for the signalled point");
	}
	body.handle = point.timeline->handle;
	body.value = point.value;
	request.body_case = FBK__WIRE__REQUEST__BODY_POINT_BLAME;
	request.point_blame = &body;
	int r = request_call(point.timeline->context, &request, NULL, 0, 0, &reply);
	if (r < 0) {
		return r;
	}
	if (reply.message->body_case == FBK__WIRE__MESSAGE__BODY_TEXT) {
		wire_text_copy(ret_text, text_size, reply.message->text->text);
	} else {
		r = error_set(-EPROTO, "the daemon blames nobody");
	}
	reply_finish(&reply);
	return r;
}
