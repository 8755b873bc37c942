// SPDX-License-Identifier: MIT
/* The timelines whose points go over a link, by the numbers that its ends give them. */
#include <errno.h>
#include <stdio.h>

#include "link.h"

static int number_check(uint32_t number, char *detail)
{
	if (number == 0 || number > FBK_LANE_POINTS) {
		snprintf(detail, FBK_REASON_SIZE,
			 "points of at most %d timelines go over a link at a time, not of a %uth",
			 FBK_LANE_POINTS, number);
		return -ENOSPC;
	}
	return 0;
}

int link_set_point(struct link *link, int side, struct handle *handle, uint32_t number,
		   uint32_t incarnation, char *detail)
{
	struct link_side *end = &link->sides[side];
	int r = number_check(number, detail);
	if (r < 0) {
		return r;
	}
	bool releases = side != (int)link->producer &&
			timeline_signaler(handle->timeline) == handle->client;
	if (releases && handle->timeline->brokered) {
		/* A release on a fence is not refused once its buffer is said to be back. */
		r = timeline_reserve(handle->timeline, end->client->user);
	}
	if (r < 0) {
		return r;
	}
	handle->timeline->releases |= releases;
	end->points[number] = (struct link_point){ .line = { handle->number, handle->timeline->id },
						   .incarnation = incarnation };
	if (link->points_awaited) {
		link->points_awaited = false;
		link_changed(link);
	}
	return 0;
}

int link_point_find(const struct link *link, int side, uint32_t number, uint32_t incarnation,
		    struct handle **ret_handle, char *detail)
{
	const struct link_side *end = &link->sides[side];
	const struct link_point *point = number <= FBK_LANE_POINTS ? &end->points[number] : NULL;
	struct handle *handle = number > 0 && point ? link_line_handle(end, &point->line) : NULL;
	if (point && number > 0 && side == (int)link->producer &&
	    point->incarnation < incarnation) {
		snprintf(detail, FBK_REASON_SIZE, "the producer has not shown timeline %u (%u) yet",
			 number, incarnation);
		return -EAGAIN;
	}
	if (!handle || point->incarnation != incarnation) {
		snprintf(detail, FBK_REASON_SIZE,
			 "the other end shows no timeline %u (%u) any more", number, incarnation);
		return -ENOENT;
	}
	*ret_handle = handle;
	return 0;
}
