// SPDX-License-Identifier: MIT
/*
 * A consumer may give a buffer back while its device still reads it; the producer's device writes the buffer only
 * after that. So the acquire of the next frame in a buffer waits for the release of the frame before. Both points are
 * in the lanes. So no client declares these waits for each frame: the daemon reads the lanes when it searches for a
 * cycle.
 */
#include "link-wait.h"

#include "link.h"
#include "proto/lane.h"
#include "token.h"

static bool entry_read(const struct timeline *lane, uint64_t sequence, struct lane_entry *ret_entry)
{
	return lane_entry_read(lane->slot.page->memory, sequence, ret_entry);
}

/* The point in an entry of this end. False if there is none, or it is decided. */
static bool side_point(struct registry *registry, const struct link_side *side,
		       const struct lane_entry *entry, struct graph_point *ret_point)
{
	if (entry->timeline == 0 || entry->timeline >= side->token_count || entry->value == 0 ||
	    entry->value > FBK_POINT_MAX) {
		return false;
	}
	struct token *token = token_find(registry, side->tokens[entry->timeline]);
	if (!token) {
		return false;
	}
	struct timeline *timeline = token->handle->timeline;
	*ret_point = (struct graph_point){ timeline, entry->value };
	timeline_refresh(timeline);
	return timeline_point_state(timeline, entry->value) == -EAGAIN;
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
	const struct link_side *producer = &link->sides[link->producer];
	const struct link_side *consumer = &link->sides[!link->producer];
	const struct timeline *forward = link->from ? link_lane(link, producer) : NULL;
	const struct timeline *back = forward ? link_lane(link, consumer) : NULL;
	uint64_t last_in[FBK_BUFFERS_MAX] = { 0 }; /* the last frame in each buffer */
	if (!back) {
		return;
	}
	uint64_t handed = lane_value(forward), returned = lane_value(back);
	uint64_t first = handed < FBK_RING_SIZE ? 1 : handed - FBK_RING_SIZE + 1;
	for (uint64_t frame = first < link->from ? link->from : first; frame <= handed; frame++) {
		struct lane_entry entry, before;
		struct graph_point acquire, release;
		if (!entry_read(forward, frame, &entry) || entry.index >= FBK_BUFFERS_MAX) {
			continue;
		}
		uint64_t last = last_in[entry.index];
		last_in[entry.index] = frame;
		if (last > 0 && last <= returned && entry_read(back, last, &before) &&
		    side_point(link->registry, consumer, &before, &release) &&
		    side_point(link->registry, producer, &entry, &acquire)) {
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
