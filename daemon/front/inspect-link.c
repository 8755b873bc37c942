// SPDX-License-Identifier: MIT
/* The list of links for fencectl: both ends, the routes, and where each buffer is. */
#include <stdio.h>

#include "broker.h"
#include "daemon/base/clock.h"
#include "daemon/core/device.h"
#include "daemon/core/link-late.h"
#include "daemon/core/link-table.h"
#include "dispatch.h"
#include "inspect-filter.h"
#include "inspect.h"

#define LINKS_MAX   4 /* in a packet, with all their buffers */
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
	[FBK_PHASE_OFFERED] = "offered",
	[FBK_PHASE_ACCEPTED] = "accepted",
	[FBK_PHASE_ESTABLISHED] = "established",
	[FBK_PHASE_ENDED] = "ended",
};

static const char *const place_names[] = {
	[LINK_AT_PRODUCER] = "producer",
	[LINK_OFFERED] = "offered",
	[LINK_AT_CONSUMER] = "consumer",
};

/* Of a frame that is not back. */
static void frame_describe(Fbk__Wire__LinkBufferState *buffer, const struct link_place_of *place)
{
	uint64_t now_ns = clock_now_ns(), deadline_ns = place->deadline_ns;
	buffer->sequence = place->sequence;
	buffer->has_deadline = deadline_ns != FBK_DEADLINE_MAX;
	if (buffer->has_deadline) {
		buffer->deadline_ms = deadline_ns >= now_ns
					      ? (int64_t)((deadline_ns - now_ns) / NS_PER_MS)
					      : -1 - (int64_t)((now_ns - deadline_ns) / NS_PER_MS);
	}
}

static void buffers_describe(struct link_room *room, Fbk__Wire__LinkEntry *entry,
			     const struct link *link)
{
	size_t first = room->buffer_count;
	for (uint32_t i = 0; i < FBK_BUFFERS_MAX; i++) {
		struct link_place_of place;
		if (link->buffers[i].fd_count == 0) {
			continue;
		}
		link_place(link, i, &place);
		Fbk__Wire__LinkBufferState *buffer = &room->buffers[room->buffer_count];
		fbk__wire__link_buffer_state__init(buffer);
		buffer->index = i;
		buffer->state = text(place_names[place.place]);
		if (link_holder_label(link, i)) {
			buffer->state = text("held");
		}
		if (place.place != LINK_AT_PRODUCER) {
			frame_describe(buffer, &place);
		}
		room->buffer_list[room->buffer_count++] = buffer;
	}
	entry->buffers = room->buffer_list + first;
	entry->n_buffers = room->buffer_count - first;
}

/* How its frames go, from the times in its tables. */
static void pace_describe(Fbk__Wire__LinkEntry *entry, const struct link *link)
{
	uint64_t now_ns = clock_now_ns();
	struct link_pace pace = link_pace(link);
	entry->has_frame_age = pace.last_ns > 0;
	if (entry->has_frame_age && pace.last_ns < now_ns) {
		entry->frame_age_ms = (now_ns - pace.last_ns) / NS_PER_MS;
	}
	entry->frame_every_us = (pace.every_ns + 999) / 1000;
	entry->dropped = link_dropped(link);
}

static void link_describe(struct link_room *room, const struct link *link)
{
	Fbk__Wire__LinkEntry *entry = &room->entries[room->list.n_links];
	const struct link_side *producer = &link->sides[link->producer];
	const struct link_side *consumer = &link->sides[!link->producer];
	fbk__wire__link_entry__init(entry);
	entry->id = link->id;
	entry->phase = text(phase_names[link_phase(link, 0)]);
	entry->cause = text(link->cause);
	entry->name = text(link_name(link));
	if (producer->client) {
		entry->producer = producer->device->name;
		entry->producer_pid = producer->client->credentials.pid;
		entry->producer_uid = producer->client->subject.uid;
		entry->producer_client_id = producer->client->id;
	}
	if (consumer->client) {
		entry->consumer = consumer->device->name;
		entry->consumer_pid = consumer->client->credentials.pid;
		entry->consumer_uid = consumer->client->subject.uid;
		entry->consumer_client_id = consumer->client->id;
	}
	if (producer->client && consumer->client) {
		entry->acquire = text(route_name(link->acquire.route));
		entry->release = text(route_name(link->release.route));
	}
	entry->handed = link_handed(link);
	entry->returned = link_returned(link);
	pace_describe(entry, link);
	buffers_describe(room, entry, link);
	room->entry_list[room->list.n_links++] = entry;
}

/* Both ends see it. A link without ends, whose buffers are held, is its maker's. */
static bool link_may_be_seen(const struct link *link, const struct client *client)
{
	bool ends = false;
	for (int i = 0; i < 2; i++) {
		const struct client *end = link->sides[i].client;
		if (end && inspect_may_see(client, end->subject.uid)) {
			return true;
		}
		ends = ends || end;
	}
	return !ends && inspect_may_see(client, link->state->device->uid);
}

/* One of its ends has all that is wanted of an end. */
static bool link_is_wanted(const struct link *link, const struct filter *filter)
{
	bool taken = !filter->wanted;
	for (int i = 0; i < 2; i++) {
		const struct link_side *side = &link->sides[i];
		if (side->client) {
			const struct filter_view view = { side->client->subject.uid,
							  side->client->id, side->device->name,
							  side->device->id };
			taken = taken || filter_takes(filter, &view);
		}
	}
	return taken && filter_takes_name(filter, link_name(link));
}

int request_inspect_links(struct client *client, struct handle *handle, const void *body, int *fds,
			  struct answer *answer)
{
	(void)handle;
	(void)fds;
	static struct link_room room;
	const Fbk__Wire__InspectLinks *request = body;
	const struct link *link;
	struct filter filter;
	int r = filter_init(&filter, request->after_id, request->filter, request->limit, LINKS_MAX,
			    answer->detail);
	if (r < 0) {
		return r;
	}
	fbk__wire__link_list__init(&room.list);
	room.list.links = room.entry_list;
	room.buffer_count = 0;
	LIST_FOREACH(link, &client->registry->links, links) { /* by falling id */
		enum filter_place place = filter_at(&filter, link->id);
		if (place == FILTER_END) {
			room.list.next = filter.last;
			break;
		}
		if (place == FILTER_BEFORE || !link_may_be_seen(link, client) ||
		    !link_is_wanted(link, &filter)) {
			continue;
		}
		if (room.list.n_links == filter.most) {
			room.list.next = room.entries[filter.most - 1].id;
			break;
		}
		link_describe(&room, link);
	}
	answer->message.body_case = FBK__WIRE__MESSAGE__BODY_LINKS;
	answer->message.links = &room.list;
	return 0;
}
