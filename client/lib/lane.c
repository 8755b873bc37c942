// SPDX-License-Identifier: MIT
/* One direction of a link: a ring of entries behind a timeline, and the timelines whose points go over it. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "error.h"
#include "link.h"
#include "request.h"
#include "timeline.h"

/* ------------------------------------------------------------------------------------- entries -- */

static void *lane_page(const struct lane *lane)
{
	return lane->timeline->payload_map->memory;
}

int lane_send(const struct lane *lane, const struct lane_entry *entry)
{
	lane_entry_write(lane_page(lane), entry);
	return fbk_timeline_signal(lane->timeline, entry->sequence);
}

int lane_receive(const struct lane *lane, uint64_t sequence, struct lane_entry *ret_entry)
{
	struct lane_entry entry;
	if (!lane_entry_read(lane_page(lane), sequence, &entry) || entry.index >= FBK_BUFFERS_MAX ||
	    entry.timeline > FBK_LANE_POINTS || entry.result > 0 || entry.result < -4095 ||
	    (entry.timeline > 0 && (entry.value == 0 || entry.value > FBK_POINT_MAX))) {
		return error_set(-EPROTO, "the peer's frame %llu is nonsense",
				 (unsigned long long)sequence);
	}
	*ret_entry = entry;
	return 0;
}

void lane_close_syncobjs(struct lane *lane)
{
	for (uint32_t i = 0; i <= FBK_LANE_POINTS; i++) {
		if (lane->syncobjs[i] > 0) {
			close(lane->syncobjs[i]);
		}
	}
}

void lane_drop(struct lane *lane)
{
	lane_close_syncobjs(lane);
	for (uint32_t i = 1; i <= FBK_LANE_POINTS; i++) {
		fbk_timeline_close(lane->points[i]);
	}
	fbk_timeline_close(lane->timeline);
	*lane = (struct lane){ 0 };
}

/* -------------------------------------------------------------------------------------- points -- */

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
	if (entry->timeline == 0) { /* that it is said is all there is to wait for */
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

/* ------------------------------------------------------------------------------- as a route has it -- */

/* One for each timeline of the peer's, made when it is first asked for; its points are the same. */
static int lane_syncobj(struct lane *lane, struct fbk_timeline *timeline, int *ret_fd)
{
	struct fbk_mirror *mirror;
	uint32_t number = FBK_LANE_POINTS;
	while (number > 0 && lane->points[number] != timeline) {
		number--; /* to 0: the lane's own */
	}
	if (lane->syncobjs[number] == 0) {
		int fd;
		int r = fbk_syncobj_create(timeline->context, &fd);
		if (r < 0) {
			return r;
		}
		r = fbk_mirror_to_syncobj(timeline, fd, &mirror);
		if (r < 0) {
			close(fd);
			return r;
		}
		lane->syncobjs[number] = fd;
	}
	int fd = fcntl(lane->syncobjs[number], F_DUPFD_CLOEXEC, 0);
	if (fd < 0) {
		return error_plain(-errno);
	}
	*ret_fd = fd;
	return 0;
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
