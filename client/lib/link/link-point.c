// SPDX-License-Identifier: MIT
#include "link-point.h"

#include <errno.h>

#include "client/lib/error.h"
#include "client/lib/request.h"
#include "client/lib/timeline.h"

int link_show(struct fbk_link *link, uint32_t number, uint32_t incarnation,
	      const struct fbk_timeline *timeline)
{
	REQUEST(request, LINK_POINT, link_point, .handle = link->state->handle,
		.timeline = timeline->handle, .number = number, .incarnation = incarnation);
	/* A producer does not wait: whoever asks for it before the daemon knows, waits. What a consumer releases by may be
	 * refused. */
	return link->producer ? request_quiet(link->context, &request, NULL)
			      : request_do(link->context, &request);
}

static int point_open(struct fbk_link *link, uint32_t number, uint32_t incarnation,
		      struct lane_point **ret_point)
{
	struct fbk_timeline *timeline;
	struct reply reply;
	REQUEST(request, LINK_POINT_GET, link_point_get, .handle = link->state->handle,
		.number = number, .epoch = link->epoch, .incarnation = incarnation);
	int r = request_call(link->context, &request, NULL, 0, 1, &reply);
	if (r < 0) {
		return r;
	}
	r = fbk_timeline_open(link->context, reply.fds[0], &timeline);
	reply_finish(&reply);
	if (r == -EAGAIN) {
		return error_set(-ESTALE, "it shows a timeline that is not there yet");
	}
	return r < 0 ? r : lane_point_create(timeline, incarnation, ret_point);
}

int link_point_of(struct fbk_link *link, uint32_t number, uint32_t incarnation,
		  struct lane_point **ret_point)
{
	if (number > FBK_LANE_POINTS) {
		return error_set(-EPROTO, "it names a timeline %u that there can't be", number);
	}
	struct lane_point **place = number == 0 ? &link->peer.self : &link->peer.points[number];
	if (number > 0 && (!*place || (*place)->incarnation != incarnation)) {
		struct lane_point *point;
		int r = point_open(link, number, incarnation, &point);
		if (r < 0) {
			return r;
		}
		lane_point_unref(link->context, *place); /* who needs it has its own */
		*place = point;
	}
	*ret_point = lane_point_ref(*place);
	return 0;
}

/* Not under a lock for as long as the point takes. */
static int fence_late(struct fbk_point at, int *ret_fd)
{
	int r = fbk_point_check(at);
	return r < 0 ? r : fbk_point_export(at, FBK_FENCE_SYNC_FILE, 0, ret_fd);
}

static int fence_make(enum fbk_route route, struct lane_point *point, struct fbk_point at,
		      int *ret_fd)
{
	switch (route) {
	case FBK_ROUTE_EVENTFD:
		return fbk_point_export(at, FBK_FENCE_EVENTFD, FBK_DEADLINE_MAX, ret_fd);
	case FBK_ROUTE_SYNC_FILE_LATE:
		return fence_late(at, ret_fd);
	case FBK_ROUTE_SYNC_FILE_PROMISE:
		return fbk_point_promise(at, ret_fd);
	case FBK_ROUTE_SYNCOBJ_MIRROR:
		return lane_point_syncobj(point, ret_fd);
	default:
		return error_set(-EOPNOTSUPP, "this route gives no fd: wait for the point");
	}
}

int link_fence(enum fbk_route route, struct lane_point *point, uint64_t value, uint64_t deadline_ns,
	       int *ret_fd)
{
	request_limit(deadline_ns);
	int r = fence_make(route, point, (struct fbk_point){ point->timeline, value }, ret_fd);
	request_limit(FBK_DEADLINE_MAX);
	return r;
}
