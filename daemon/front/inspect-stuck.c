// SPDX-License-Identifier: MIT
/* The list for `fencectl stuck`. */
#include <errno.h>

#include "blame.h"
#include "daemon/base/clock.h"
#include "dispatch.h"
#include "inspect.h"
#include "stuck.h"

#define STUCK_MAX 10 /* entries of up to 1361 bytes each, in a packet of 16 KiB */

struct stuck_room {
	Fbk__Wire__StuckList list;
	Fbk__Wire__StuckEntry entries[STUCK_MAX];
	Fbk__Wire__StuckEntry *entry_list[STUCK_MAX];
	Fbk__Wire__StuckStep steps[STUCK_MAX][BLAME_DEPTH];
	Fbk__Wire__StuckStep *step_list[STUCK_MAX][BLAME_DEPTH];
	char causes[STUCK_MAX][FBK_REASON_SIZE];
};

static void step_describe(Fbk__Wire__StuckStep *entry, const struct blame_step *step)
{
	const struct timeline *timeline = step->timeline;
	fbk__wire__stuck_step__init(entry);
	entry->id = timeline->id;
	entry->name = text(timeline->name);
	entry->point = step->value;
	entry->value = timeline->seen;
	entry->device = text(timeline->device->name);
	entry->pid = timeline->device->pid;
	entry->uid = timeline->device->uid;
}

static void chain_describe(struct stuck_room *room, size_t index, const struct blame_chain *chain)
{
	Fbk__Wire__StuckEntry *entry = &room->entries[index];
	for (size_t i = 0; i < chain->count; i++) {
		step_describe(&room->steps[index][i], &chain->steps[i]);
		room->step_list[index][i] = &room->steps[index][i];
	}
	entry->n_chain = chain->count;
	entry->chain = room->step_list[index];
	entry->end = text(blame_end_name(chain->end));
	blame_sentence(chain, room->causes[index], sizeof(room->causes[index]));
	entry->cause = room->causes[index];
}

static uint64_t ms_since(uint64_t then_ns, uint64_t now_ns)
{
	return then_ns != 0 && then_ns < now_ns ? (now_ns - then_ns) / NS_PER_MS : 0;
}

static void wait_describe(Fbk__Wire__StuckEntry *entry, const struct wait *wait, uint64_t now_ns)
{
	const struct timeline *timeline = wait->timeline;
	const struct client *owner = timeline_signaler(timeline);
	fbk__wire__stuck_entry__init(entry);
	entry->id = timeline->id;
	entry->name = text(timeline->name);
	entry->device = text(timeline->device->name);
	entry->pid = timeline->device->pid;
	entry->uid = timeline->device->uid;
	entry->unit = text(owner ? owner->credentials.unit : "");
	entry->client_id = owner ? owner->id : 0;
	entry->point = wait->value;
	entry->value = timeline->seen;
	if (timeline->counters) {
		entry->unchanged_ms = ms_since(timeline->counters->changed_ns, now_ns);
	}
	entry->waiter = text(wait->waiter ? wait->waiter->name : "");
	entry->waiter_pid = wait->waiter ? wait->waiter->credentials.pid : 0;
	entry->waiter_uid = wait->uid;
	entry->by = text(wait_way_name(wait->way));
	entry->waiting_ms = ms_since(wait->since_ns, now_ns);
	entry->has_deadline = wait->deadline_ns != 0;
	if (entry->has_deadline) {
		/* the difference is unsigned, so its milliseconds fit with either sign */
		entry->deadline_ms = wait->deadline_ns >= now_ns
					     ? (int64_t)((wait->deadline_ns - now_ns) / NS_PER_MS)
					     : -(int64_t)ms_since(wait->deadline_ns, now_ns);
	}
}

/* A frame may be kept, or not come, for good reasons: listed is who waits for one that somebody owes. `all`: also for each
 * that is not back. */
static bool stuck_is_owed(const struct wait *wait, const struct blame_chain *chain, bool all)
{
	bool kept = wait->way == WAIT_FRAME;
	bool late = all || (wait->deadline_ns != 0 && wait->deadline_ns < clock_now_ns());
	return chain->owed || (!kept && !blame_is_for_frame(wait)) || (kept && late);
}

/* List the wait unless a look shows that its point is decided. That look may also end other waits that were found. */
static void stuck_judge(struct stuck_room *room, const struct wait *wait, bool all)
{
	size_t index = room->list.n_stuck;
	struct blame_chain chain;
	blame_follow(wait->timeline, wait->value, wait->waiter, &chain);
	if (timeline_point_state(wait->timeline, wait->value) != -EAGAIN ||
	    !stuck_is_owed(wait, &chain, all)) {
		return;
	}
	wait_describe(&room->entries[index], wait, clock_now_ns());
	chain_describe(room, index, &chain);
	room->entry_list[index] = &room->entries[index];
	room->list.n_stuck++;
}

const Fbk__Wire__StuckEntry *stuck_describe(const struct wait *wait)
{
	static struct stuck_room room;
	struct blame_chain chain;
	blame_follow(wait->timeline, wait->value, wait->waiter, &chain);
	wait_describe(&room.entries[0], wait, clock_now_ns());
	chain_describe(&room, 0, &chain);
	return &room.entries[0];
}

/* The time before which a listed wait began. An age of 0 lists all waits, also new ones. */
static uint64_t before_of(uint64_t older_ms, uint64_t now_ns)
{
	if (older_ms == 0) {
		return UINT64_MAX;
	}
	return older_ms < now_ns / NS_PER_MS ? now_ns - older_ms * NS_PER_MS : 0;
}

int request_inspect_stuck(struct client *client, struct handle *handle, const void *body, int *fds,
			  struct answer *answer)
{
	(void)handle;
	(void)fds;
	static struct stuck_room room;
	const Fbk__Wire__InspectStuck *request = body;
	struct wait waits[STUCK_MAX];
	struct stuck_place place = { request->after_id, request->after_part, request->after_wait };
	uint64_t before_ns = before_of(request->older_ms, clock_now_ns());
	size_t count;

	fbk__wire__stuck_list__init(&room.list);
	room.list.stuck = room.entry_list;
	bool more = stuck_find(client, &place, before_ns, waits, STUCK_MAX, &count);
	for (size_t i = 0; i < count; i++) {
		stuck_judge(&room, &waits[i], request->older_ms == 0);
	}
	if (more) {
		room.list.next = place.client;
		room.list.next_part = place.part;
		room.list.next_wait = place.wait;
	}
	answer->message.body_case = FBK__WIRE__MESSAGE__BODY_STUCK;
	answer->message.stuck = &room.list;
	return 0;
}
