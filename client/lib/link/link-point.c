// SPDX-License-Identifier: MIT
#include "link-point.h"

#include <errno.h>

#include "client/lib/error.h"
#include "client/lib/request.h"
#include "client/lib/timeline.h"

int link_number_of(struct fbk_link *link, const struct fbk_timeline *timeline)
{
	struct lane *lane = &link->out;
	struct reply reply;
	if (!timeline) {
		return 0;
	}
	for (uint32_t i = 1; i <= lane->count; i++) {
		if (lane->ids[i] == timeline->id) {
			return (int)i;
		}
	}
	REQUEST(request, LINK_POINT, link_point, .handle = link->state->handle,
		.timeline = timeline->handle);
	int r = request_call(link->context, &request, NULL, 0, 0, &reply);
	if (r < 0) {
		return r;
	}
	uint32_t number = reply.message->body_case == FBK__WIRE__MESSAGE__BODY_OBJECT
				  ? reply.message->object->id
				  : 0;
	reply_finish(&reply);
	if (number != lane->count + 1 || number > FBK_LANE_POINTS) {
		return error_set(-EPROTO, "the daemon's number for timeline %s is %u",
				 timeline->name, number);
	}
	lane->ids[number] = timeline->id;
	lane->count = number;
	return (int)number;
}

static int point_open(struct fbk_link *link, uint32_t number)
{
	struct reply reply;
	REQUEST(request, LINK_POINT_GET, link_point_get, .handle = link->state->handle,
		.number = number, .epoch = link->epoch);
	int r = request_call(link->context, &request, NULL, 0, 1, &reply);
	if (r == 0) {
		r = fbk_timeline_open(link->context, reply.fds[0], &link->in.points[number]);
		reply_finish(&reply);
	}
	return r;
}

int link_point_of(struct fbk_link *link, const struct lane_entry *entry,
		  struct fbk_point *ret_point)
{
	int r = 0;
	if (entry->timeline == 0) { /* the entry itself is what to wait for */
		*ret_point = (struct fbk_point){ link->in.timeline, entry->sequence };
		return 0;
	}
	if (!link->in.points[entry->timeline]) {
		r = point_open(link, entry->timeline);
	}
	if (r == 0) {
		*ret_point = (struct fbk_point){ link->in.points[entry->timeline], entry->value };
	}
	return r;
}

int link_fence(struct fbk_link *link, enum fbk_route route, struct fbk_point point, int *ret_fd)
{
	switch (route) {
	case FBK_ROUTE_EVENTFD:
		return fbk_point_export(point, FBK_EVENTFD, FBK_DEADLINE_MAX, ret_fd);
	case FBK_ROUTE_SYNC_FILE_LATE:
		return fbk_point_export(point, FBK_SYNC_FILE, FBK_DEADLINE_MAX, ret_fd);
	case FBK_ROUTE_SYNC_FILE_PROMISE:
		return fbk_point_promise(point, ret_fd);
	case FBK_ROUTE_SYNCOBJ_MIRROR:
		return lane_syncobj(&link->in, point.timeline, ret_fd);
	default:
		return error_set(-EOPNOTSUPP, "this route gives no fd: wait for the point");
	}
}
