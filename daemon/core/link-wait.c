// SPDX-License-Identifier: MIT
/*
 * A consumer may give a buffer back while its device still reads it; the producer's device writes the buffer only
 * after that. So the acquire of the next frame in a buffer waits for the release of the frame before. Both points are
 * in the lanes. So no client declares these waits for each frame: the daemon reads the lanes when it searches for a
 * cycle.
 */
#include "link-wait.h"

#include <errno.h>

#include "link-table.h"

/* The point of an end, by its number. False if there is none. */
static bool side_point(const struct link *link, uint32_t side, uint32_t number,
		       uint32_t incarnation, uint64_t value, struct graph_point *ret_point)
{
	char detail[FBK_REASON_SIZE];
	struct handle *handle;
	if (value == 0 || value > FBK_POINT_MAX ||
	    link_point_find(link, (int)side, number, incarnation, &handle, detail) < 0) {
		return false;
	}
	*ret_point = (struct graph_point){ handle->timeline, value };
	return true;
}

static bool point_undecided(struct graph_point point)
{
	timeline_refresh(point.timeline);
	return timeline_point_state(point.timeline, point.value) == -EAGAIN;
}

static bool acquire_of(const struct link *link, const struct lane_frame *frame,
		       struct graph_point *ret_point)
{
	return side_point(link, link->producer, frame->timeline, frame->incarnation, frame->value,
			  ret_point);
}

static bool release_of(const struct link *link, const struct lane_return *back,
		       struct graph_point *ret_point)
{
	if (back->kind != FBK_RELEASE_MEMORY && back->kind != FBK_RELEASE_BROKERED) {
		return false;
	}
	uint32_t number = 2 * back->index + back->kind;
	return side_point(link, !link->producer, number, back->incarnation, back->value, ret_point);
}

bool link_release_pending(const struct link *link, uint32_t index, struct graph_point *ret_point)
{
	struct lane_return back;
	return link_last_return(link, index, &back) && release_of(link, &back, ret_point) &&
	       timeline_point_state(ret_point->timeline, ret_point->value) == -EAGAIN;
}

static void wait_add(struct registry *registry, struct graph_point point, struct graph_point on,
		     struct user *user, struct graph_edges *waits)
{
	struct graph_cycle cycle;
	/* A wait that exists can't be refused: a cycle that it closes ends by a deadline. */
	graph_add(&registry->graph, point, on, user, waits, &cycle);
}

static void link_add_waits(struct link *link, struct user *user, struct graph_edges *waits)
{
	for (uint32_t index = 0; index < FBK_BUFFERS_MAX; index++) {
		struct lane_frame frame;
		struct lane_return before;
		struct graph_point acquire, release;
		if (link->buffers[index].fd_count > 0 && link_last_frame(link, index, &frame) &&
		    link_last_return(link, index, &before) && before.sequence < frame.sequence &&
		    release_of(link, &before, &release) && point_undecided(release) &&
		    acquire_of(link, &frame, &acquire) && point_undecided(acquire)) {
			wait_add(link->registry, acquire, release, user, waits);
		}
	}
}

static bool link_is_of(const struct link *link, const struct timeline *timeline)
{
	const struct client *client = timeline_signaler(timeline);
	return client && link_side_of(link, client) >= 0;
}

void link_waits(struct registry *registry, const struct timeline *one, const struct timeline *other,
		struct user *user, struct graph_edges *waits)
{
	unsigned int count = 0;
	struct link *link;
	LIST_FOREACH(link, &registry->links, links) {
		if ((link_is_of(link, one) || link_is_of(link, other)) &&
		    count++ < LINK_WAITS_MAX) {
			link_add_waits(link, user, waits);
		}
	}
}
