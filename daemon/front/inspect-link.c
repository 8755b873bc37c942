// SPDX-License-Identifier: MIT
/* The list of links for fencectl: both ends, the routes, and which end has each buffer. */
#include <stdio.h>

#include "broker.h"
#include "daemon/core/device.h"
#include "daemon/core/link.h"
#include "dispatch.h"
#include "inspect.h"
#include "proto/lane.h"

#define LINKS_MAX   8 /* in a packet, with all their buffers */
#define BUFFERS_MAX (LINKS_MAX * FBK_BUFFERS_MAX)

struct link_room {
	Fbk__Wire__LinkList list;
	Fbk__Wire__LinkEntry entries[LINKS_MAX];
	Fbk__Wire__LinkEntry *entry_list[LINKS_MAX];
	Fbk__Wire__LinkBufferState buffers[BUFFERS_MAX];
	Fbk__Wire__LinkBufferState *buffer_list[BUFFERS_MAX];
	size_t buffer_count;
};

static const char *const phase_names[] = {
	[FBK_LINK_OFFERED] = "offered",
	[FBK_LINK_ACCEPTED] = "accepted",
	[FBK_LINK_ESTABLISHED] = "established",
	[FBK_LINK_ENDED] = "ended",
};

static uint64_t lane_seen(struct timeline *lane)
{
	if (!lane) {
		return 0;
	}
	timeline_refresh(lane);
	return lane->seen;
}

static void buffers_describe(struct link_room *room, Fbk__Wire__LinkEntry *entry,
			     const struct link *link, const struct timeline *lane)
{
	size_t first = room->buffer_count;
	for (uint32_t i = 0; i < FBK_BUFFERS_MAX; i++) {
		if (link->buffers[i].fd < 0) {
			continue;
		}
		Fbk__Wire__LinkBufferState *buffer = &room->buffers[room->buffer_count];
		fbk__wire__link_buffer_state__init(buffer);
		buffer->index = i;
		buffer->state = text("producer");
		room->buffer_list[room->buffer_count++] = buffer;
	}
	entry->buffers = room->buffer_list + first;
	entry->n_buffers = room->buffer_count - first;
	/* The frames that are not released yet, from the producer's ring. The producer may scribble there. */
	uint64_t from = entry->returned + 1;
	for (uint64_t n = from > link->from ? from : link->from;
	     lane && n <= entry->handed && n < from + FBK_RING_SIZE; n++) {
		struct lane_entry frame;
		if (!lane_entry_read(lane->slot.page->memory, n, &frame)) {
			continue;
		}
		for (size_t i = first; i < room->buffer_count; i++) {
			if (room->buffers[i].index == frame.index) {
				room->buffers[i].state = text("consumer");
				room->buffers[i].sequence = n;
			}
		}
	}
}

static void link_describe(struct link_room *room, const struct link *link)
{
	Fbk__Wire__LinkEntry *entry = &room->entries[room->list.n_links];
	const struct link_side *producer = &link->sides[link->producer];
	const struct link_side *consumer = &link->sides[!link->producer];
	struct timeline *forward = link_lane(link, producer);
	struct timeline *back = link_lane(link, consumer);
	fbk__wire__link_entry__init(entry);
	entry->id = link->id;
	entry->phase = text(phase_names[link_phase(link, 0)]);
	entry->cause = text(link->cause);
	entry->name = text(link_name(link));
	if (producer->client) {
		entry->producer = producer->device->name;
		entry->producer_pid = producer->client->credentials.pid;
	}
	if (consumer->client) {
		entry->consumer = consumer->device->name;
		entry->consumer_pid = consumer->client->credentials.pid;
	}
	if (producer->client && consumer->client) {
		entry->acquire = text(route_name(link->acquire.route));
		entry->release = text(route_name(link->release.route));
	}
	entry->handed = lane_seen(forward);
	entry->returned = lane_seen(back);
	buffers_describe(room, entry, link, link->from ? forward : NULL);
	room->entry_list[room->list.n_links++] = entry;
}

int request_inspect_links(struct client *client, struct handle *handle, const void *body, int *fds,
			  struct answer *answer)
{
	(void)handle;
	(void)fds;
	static struct link_room room;
	const Fbk__Wire__InspectLinks *request = body;
	const struct link *link;

	fbk__wire__link_list__init(&room.list);
	room.list.links = room.entry_list;
	room.buffer_count = 0;
	LIST_FOREACH(link, &client->registry->links, links) { /* by falling id */
		if ((request->after_id && link->id >= request->after_id) ||
		    !inspect_may_see(client, link->state->device->uid)) {
			continue;
		}
		if (room.list.n_links == LINKS_MAX) {
			room.list.next = room.entries[LINKS_MAX - 1].id;
			break;
		}
		link_describe(&room, link);
	}
	answer->message.body_case = FBK__WIRE__MESSAGE__BODY_LINKS;
	answer->message.links = &room.list;
	return 0;
}
