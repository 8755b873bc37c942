// SPDX-License-Identifier: MIT
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "brokered.h"
#include "context.h"
#include "error.h"
#include "proto/fd.h"
#include "proto/wire.h"
#include "request.h"
#include "timeline.h"
#include "translate.h"

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

/* What the daemon would refuse, when nobody waits for its answer any more. */
static int fence_check(struct fbk_context *context, int fd, size_t count)
{
	int kind = fbk_fence_classify(context, fd);
	const char *why = NULL;
	if (kind == FBK_FENCE_DMA_BUF_IMPLICIT) {
		return error_set(-EOPNOTSUPP,
				 "a dma-buf is no fence: export its fences as a sync_file");
	}
	if (kind == FBK_FENCE_SYNCOBJ_TIMELINE && count > 1) {
		return error_set(-EINVAL, "a syncobj is followed alone, not with others");
	}
	if ((kind == FBK_FENCE_EVENTFD &&
	     fbk_feature(context, FBK_FEATURE_IMPORT_EVENTFD, &why) == 0) ||
	    (kind == FBK_FENCE_SYNC_FILE &&
	     fbk_feature(context, FBK_FEATURE_IMPORT_SYNC_FILE, &why) == 0) ||
	    (kind == FBK_FENCE_SYNCOBJ_TIMELINE &&
	     fbk_feature(context, FBK_FEATURE_SYNCOBJ, &why) == 0)) {
		return error_set(-EOPNOTSUPP, "%s", why);
	}
	return kind < 0 ? kind : 0;
}

int signal_on(struct fbk_point point, const struct packet *fences)
{
	REQUEST(request, POINT_SIGNAL_ON, point_signal_on, .handle = point.timeline->handle,
		.value = point.value);
	for (size_t i = 0; i < fences->fd_count; i++) {
		int r = fence_check(point.timeline->context, fences->fds[i], fences->fd_count);
		if (r < 0) {
			return r;
		}
	}
	return brokered_give(point.timeline, point.value, &request, fences);
}

static int follow_check(struct fbk_point point, size_t count)
{
	if (!point.timeline) {
		return error_set(-EINVAL, "the signalled point cannot follow a fence");
	}
	if (count == 0 || count > FBK_FENCES_MAX) {
		return error_set(-EINVAL, "a point follows 1 to %d fences at once, not %zu",
				 FBK_FENCES_MAX, count);
	}
	return 0;
}

int fbk_point_signal_on_all(struct fbk_point point, const int *fence_fds, size_t count)
{
	int r = follow_check(point, count);
	if (r == 0) {
		r = signal_on(point, &(struct packet){ .fds = fence_fds, .fd_count = count });
	}
	for (size_t i = 0; i < count; i++) {
		if (fence_fds[i] >= 0) {
			fd_close(fence_fds[i]);
		}
	}
	return r;
}

int fbk_point_signal_on(struct fbk_point point, int fence_fd)
{
	return fbk_point_signal_on_all(point, &fence_fd, 1);
}

/* The fence that a binary syncobj holds is another one as soon as somebody submits: the daemon takes it before this returns.
 * That of a point stays. */
int fbk_point_signal_on_syncobj(struct fbk_point point, int syncobj_fd, uint64_t syncobj_point)
{
	const struct packet packet = { .fds = &syncobj_fd, .fd_count = 1 };
	int r = follow_check(point, 1);
	int kind = r == 0 ? fbk_fence_classify(point.timeline->context, syncobj_fd) : r;
	if (kind < 0) {
		return kind;
	}
	if (kind != FBK_FENCE_SYNCOBJ_TIMELINE) {
		return error_set(-EBADF, "file descriptor %d is not a drm_syncobj", syncobj_fd);
	}
	r = fence_check(point.timeline->context, syncobj_fd, 1);
	if (r < 0) {
		return r;
	}
	REQUEST(request, POINT_SIGNAL_ON, point_signal_on, .handle = point.timeline->handle,
		.value = point.value, .syncobj_point = syncobj_point);
	return syncobj_point == 0
		       ? brokered_give_answered(point.timeline, point.value, &request, &packet)
		       : brokered_give(point.timeline, point.value, &request, &packet);
}

int fbk_import(struct fbk_device *device, int fence_fd, struct fbk_point *ret_point)
{
	struct fbk_point point = { .value = 1 };
	int r = fbk_timeline_create(device, NULL, "import", FBK_TIMELINE_BROKERED, &point.timeline);
	if (r == 0) {
		r = signal_on(point, &(struct packet){ .fds = &fence_fd, .fd_count = 1 });
		if (r < 0) {
			fbk_timeline_close(point.timeline);
		}
	}
	if (fence_fd >= 0) {
		fd_close(fence_fd);
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
