// SPDX-License-Identifier: MIT
#include "blame.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/base/process.h"
#include "daemon/core/client-log.h"
#include "daemon/core/link-late.h"
#include "daemon/core/link-table.h"
#include "daemon/core/link.h"
#include "daemon/core/pair.h"
#include "daemon/core/watch.h"
#include "daemon/translate/export.h"
#include "daemon/translate/import.h"
#include "daemon/translate/mirror.h"

#define BLAME_LOOKED_AT 1024       /* looks at this many waits of a process; follows the oldest */
#define BLAME_POLL_NS   (NS_PER_S) /* a client with a shorter timeout is polling */

/* --------------------------------------------------------------------- what a process waits for -- */

/* A process may have more than one connection. The number of one in another pid namespace is not known. */
static bool same_process(const struct client *client, const struct client *other)
{
	return client == other || (client && other && client->credentials.pid > 0 &&
				   client->credentials.pid == other->credentials.pid);
}

/* The other idle timeline is a link's state, whose next change no process owes. */
bool blame_is_for_frame(const struct wait *wait)
{
	return wait->timeline->idle && !wait->timeline->brokered;
}

/* Takes the older wait. A process's waits for its own devices are left out: they do not keep it from signalling for
 * others. A wait for the next frame may do so; it is followed only where there is no other wait. */
static void wait_older(struct wait *oldest, const struct client *client, struct wait other)
{
	if (!other.timeline || timeline_signaler(other.timeline) == client ||
	    timeline_point_state(other.timeline, other.value) != -EAGAIN ||
	    (other.timeline->idle && !blame_is_for_frame(&other))) {
		return;
	}
	bool frame = other.timeline->idle;
	bool have_frame = oldest->timeline && oldest->timeline->idle;
	if (!oldest->timeline || (have_frame && !frame) ||
	    (have_frame == frame && other.since_ns < oldest->since_ns)) {
		*oldest = other;
	}
}

struct look {
	unsigned int left; /* waits that may still be looked at */
	bool cut;          /* there were more */
};

static bool look_at_one_more(struct look *look)
{
	look->cut |= look->left == 0;
	return look->left > 0 && look->left-- > 0;
}

static void wait_older_of_client(struct wait *oldest, const struct client *client,
				 struct look *look)
{
	const struct export *export;
	LIST_FOREACH(export, &client->promises, asked_links) {
		wait_older(oldest, client, export_wait(export)); /* waited for in the kernel */
	}
	LIST_FOREACH(export, &client->exports, links) {
		if (!look_at_one_more(look)) {
			return;
		}
		wait_older(oldest, client, export_wait(export));
	}
	for (uint32_t number = 1; number < client->handles_size; number++) {
		const struct handle *handle = client->handles[number];
		const struct watch *watch;
		if (!look_at_one_more(look)) {
			return;
		}
		if (!handle) {
			continue;
		}
		wait_older(oldest, client, handle_wait(handle));
		wait_older(oldest, client, pair_wait(handle));
		LIST_FOREACH(watch, &handle->watches, links) {
			if (!look_at_one_more(look)) {
				return;
			}
			wait_older(oldest, client, watch_wait(watch));
		}
	}
}

/* The oldest wait of this client among the first that are left to look at, or else of its process's other connections: for
 * another process. */
static struct wait oldest_wait_of(const struct client *signaler, struct look *look)
{
	struct wait oldest = { 0 };
	const struct client *client;
	wait_older_of_client(&oldest, signaler, look);
	LIST_FOREACH(client, &signaler->registry->clients, links) {
		struct wait wait = { 0 };
		if (oldest.timeline || client == signaler || !same_process(client, signaler)) {
			continue;
		}
		wait_older_of_client(&wait, client, look);
		if (wait.timeline && !same_process(timeline_signaler(wait.timeline), signaler)) {
			oldest = wait;
		}
	}
	return oldest;
}

static struct wait full_wait_of_client(const struct client *client, struct look *look)
{
	for (uint32_t number = 1; number < client->handles_size && look_at_one_more(look);
	     number++) {
		const struct handle *handle = client->handles[number];
		const struct link *link = handle ? link_of(handle) : NULL;
		struct wait wait =
			link && link_is_full(link) ? link_wait(handle) : (struct wait){ 0 };
		if (wait.timeline) {
			return wait;
		}
	}
	return (struct wait){ 0 };
}

/* Who moves no frame may have no buffer for the next one: then it waits for who has them all. It need not ask the daemon for
 * that. */
static struct wait full_wait_of(const struct client *signaler, struct look *look)
{
	struct wait wait = { 0 };
	const struct client *client;
	LIST_FOREACH(client, &signaler->registry->clients, links) {
		if (!wait.timeline && same_process(client, signaler)) {
			wait = full_wait_of_client(client, look);
		}
	}
	return wait;
}

static const enum blame_end end_of_sight[] = {
	[PROCESS_RUNS] = BLAME_SILENT,   [PROCESS_STOPPED] = BLAME_STOPPED,
	[PROCESS_FROZEN] = BLAME_FROZEN, [PROCESS_HANGS] = BLAME_HANGS,
	[PROCESS_DEAD] = BLAME_DEAD,     [PROCESS_HIDDEN] = BLAME_HIDDEN,
};

static enum blame_end signaler_end(const struct timeline *timeline)
{
	const struct client *client = timeline_signaler(timeline);
	return client ? end_of_sight[process_look(client->credentials.pidfd)] : BLAME_LEFT;
}

/* Is the process certainly unable to signal? */
static bool end_is_certain(enum blame_end end)
{
	return end == BLAME_STOPPED || end == BLAME_FROZEN || end == BLAME_HANGS ||
	       end == BLAME_DEAD || end == BLAME_LEFT;
}

/* Does its process move no frames on the link of this lane, though it did? */
static bool lane_is_late(const struct timeline *lane)
{
	const struct link *link = link_of_lane(lane);
	return link && (lane->idle ? link_producer_late(link) : link_consumer_late(link));
}

/* ------------------------------------------------------------------------------------ the chain -- */

/* The step at which a cycle begins; `chain->count` when there is none. */
static size_t chain_begin(const struct blame_chain *chain, const struct client *waiter,
			  const struct client *signaler)
{
	size_t begin = chain->count;
	bool by_another = false;
	for (size_t i = 0; i + 1 < chain->count; i++) {
		bool same = timeline_signaler(chain->steps[i].timeline) == signaler;
		by_another |= !same;
		if (begin == chain->count && same && !chain->steps[i].follows) {
			begin = i + 1;
		}
	}
	return waiter == signaler && by_another ? 0 : begin;
}

/* How the chain ends at its last step. Where it goes on, `ret_next` has a timeline. */
static enum blame_end chain_last(struct blame_chain *chain, const struct client *waiter,
				 struct wait *ret_next)
{
	struct timeline *timeline = chain->steps[chain->count - 1].timeline;
	uint64_t value = chain->steps[chain->count - 1].value;
	timeline_refresh(timeline); /* no process is blamed for a point that is reached */
	int state = timeline_point_state(timeline, value);
	if (state != -EAGAIN) {
		return state == 0 ? BLAME_REACHED : BLAME_FAILED;
	}
	/* The signaler of a kernel fence is unknown. The process that imported the fence is the first to blame. */
	enum blame_end end = signaler_end(timeline);
	bool halted = end == BLAME_STOPPED || end == BLAME_FROZEN;
	const struct import *import = import_pending(timeline, value);
	struct graph_point behind = import ? import_behind(import) : (struct graph_point){ 0 };
	if (behind.timeline) {
		chain->steps[chain->count - 1].follows = true;
		*ret_next = (struct wait){ .timeline = behind.timeline, .value = behind.value };
		return chain->count == BLAME_DEPTH ? BLAME_DEEP : end;
	}
	if (!halted && (import || mirror_follows(timeline))) {
		return BLAME_FENCE;
	}
	const struct client *signaler = timeline_signaler(timeline);
	if (end_is_certain(end) || !signaler) {
		return end;
	}
	chain->cycle = chain_begin(chain, waiter, signaler);
	if (chain->cycle < chain->count) {
		return BLAME_CYCLE;
	}
	struct look look = { .left = BLAME_LOOKED_AT };
	*ret_next = oldest_wait_of(signaler, &look);
	if (timeline->lane && !ret_next->timeline) {
		look.left = BLAME_LOOKED_AT;
		*ret_next = full_wait_of(signaler, &look);
	}
	if (!ret_next->timeline && lane_is_late(timeline)) {
		return BLAME_LATE;
	}
	if (!ret_next->timeline) {
		return look.cut ? BLAME_BUSY : end;
	}
	return chain->count == BLAME_DEPTH ? BLAME_DEEP : end;
}

void blame_follow(struct timeline *timeline, uint64_t value, const struct client *waiter,
		  struct blame_chain *ret_chain)
{
	struct wait next = { .timeline = timeline, .value = value };
	bool late = lane_is_late(timeline);
	size_t frame = 0; /* steps before the first wait for a frame that is not late; 0: none */
	ret_chain->count = 0;
	do {
		ret_chain->steps[ret_chain->count++] =
			(struct blame_step){ next.timeline, next.value, false };
		next.timeline = NULL;
		ret_chain->end = chain_last(ret_chain, waiter, &next);
		if (next.timeline && next.timeline->idle && frame == 0 &&
		    !lane_is_late(next.timeline)) {
			frame = ret_chain->count;
			ret_chain->frames = next.timeline;
		}
	} while (next.timeline && ret_chain->count < BLAME_DEPTH);
	bool certain = end_is_certain(ret_chain->end);
	ret_chain->owed = late || certain;
	if (frame > 0 && !certain) { /* whether a process that runs owes a frame is not known */
		ret_chain->count = frame;
		ret_chain->end = BLAME_FRAME;
	}
}

/* ------------------------------------------------------------------------------------ the words -- */

static const struct {
	const char *name;
	const char *says; /* follows the name of the last process of a chain */
} ends[] = {
	[BLAME_REACHED] = { "reached", "is reached" },
	[BLAME_FAILED] = { "failed", "failed" },
	[BLAME_STOPPED] = { "stopped", "is stopped" },
	[BLAME_FROZEN] = { "frozen", "is frozen with its control group" },
	[BLAME_HANGS] = { "hangs", "is in uninterruptible sleep in the kernel" },
	[BLAME_DEAD] = { "dead", "is dead" },
	[BLAME_LEFT] = { "left", "is no client any more" },
	[BLAME_LATE] = { "late", "" },
	[BLAME_FRAME] = { "frame", "" },
	[BLAME_SILENT] = { "silent", "waits for no process here and has not signalled" },
	[BLAME_HIDDEN] = { "hidden", "lives, is not visible to the daemon, and has not signalled" },
	[BLAME_BUSY] = { "busy", "has not signalled; it has more waits here than were looked at" },
	[BLAME_FENCE] = { "fence", "follows a kernel fence that has not signalled" },
	[BLAME_CYCLE] = { "cycle", "" },
	[BLAME_DEEP] = { "deep", "" },
};

const char *blame_end_name(enum blame_end end)
{
	return ends[end].name;
}

struct text {
	char *start;
	size_t size, used;
};

__attribute__((format(printf, 2, 3))) static void text_add(struct text *text, const char *format,
							   ...)
{
	va_list args;
	va_start(args, format);
	int length = vsnprintf(text->start + text->used, text->size - text->used, format, args);
	va_end(args);
	if (length > 0) {
		text->used += (size_t)length;
		if (text->used >= text->size) {
			text->used = text->size - 1;
		}
	}
}

static void text_add_point(struct text *text, const struct blame_step *step)
{
	const struct timeline *timeline = step->timeline;
	text_add(text, "%s point %llu (now %llu) of %s (pid %d)", timeline->name,
		 (unsigned long long)step->value, (unsigned long long)timeline->seen,
		 timeline->device->name, timeline->device->pid);
}

/* "has handed over no frame for 2300 ms (before: one every 33 ms)" */
static void text_add_late(struct text *text, const struct timeline *lane)
{
	const struct link *link = link_of_lane(lane);
	struct link_pace pace = link ? link_pace(link) : (struct link_pace){ 0 };
	text_add(text, "has %s for %llu ms (before: one every %llu.%llu ms)",
		 lane->idle ? "handed over no frame" : "given back no frame",
		 (unsigned long long)((clock_now_ns() - pace.last_ns) / NS_PER_MS),
		 (unsigned long long)(pace.every_ns / NS_PER_MS),
		 (unsigned long long)(pace.every_ns % NS_PER_MS / (NS_PER_MS / 10)));
}

/* What is said of the last process of a chain. */
static void text_add_end(struct text *text, const struct blame_chain *chain)
{
	switch (chain->end) {
	case BLAME_LATE:
		text_add_late(text, chain->steps[chain->count - 1].timeline);
		break;
	case BLAME_FRAME:
		text_add(text, "waits for the next frame of %s (pid %d)",
			 chain->frames->device->name, chain->frames->device->pid);
		break;
	default:
		text_add(text, "%s", ends[chain->end].says);
	}
}

/* "a (pid 1), b (pid 2) and c (pid 3)" */
static void text_add_cycle(struct text *text, const struct blame_chain *chain)
{
	for (size_t i = chain->cycle; i < chain->count; i++) {
		const struct device *device = chain->steps[i].timeline->device;
		text_add(text, "%s%s (pid %d)",
			 i == chain->cycle       ? ""
			 : i + 1 == chain->count ? " and "
						 : ", ",
			 device->name, device->pid);
	}
}

void blame_sentence(const struct blame_chain *chain, char *ret_text, size_t size)
{
	struct text text = { .start = ret_text, .size = size };
	const struct timeline *last = chain->steps[chain->count - 1].timeline;
	switch (chain->end) {
	case BLAME_CYCLE:
		text_add(&text, "a cycle: ");
		text_add_cycle(&text, chain);
		text_add(&text, " wait for each other");
		break;
	case BLAME_DEEP:
		text_add(&text, "more than %d processes wait for one another", BLAME_DEPTH);
		break;
	case BLAME_REACHED:
		text_add(&text, "%s is reached now; its waiter has not run yet", last->name);
		break;
	case BLAME_FAILED:
		text_add(&text, "%s failed: %s", last->name, timeline_reason(last));
		break;
	default:
		text_add(&text, "%s (pid %d) ", last->device->name, last->device->pid);
		text_add_end(&text, chain);
	}
}

static void chain_describe(const struct blame_chain *chain, char *ret_text, size_t size)
{
	struct text text = { .start = ret_text, .size = size };
	for (size_t i = 0; i < chain->count; i++) {
		text_add(&text, "%s", i > 0 ? ", which waits for " : "");
		text_add_point(&text, &chain->steps[i]);
	}
	switch (chain->end) {
	case BLAME_CYCLE:
	case BLAME_DEEP:
		text_add(&text, ", and so on%s", chain->end == BLAME_CYCLE ? ": a cycle" : "");
		break;
	case BLAME_FAILED:
		text_add(&text, ", which failed: %s",
			 timeline_reason(chain->steps[chain->count - 1].timeline));
		break;
	default:
		text_add(&text, ", which ");
		text_add_end(&text, chain);
	}
}

void blame_describe(struct timeline *timeline, uint64_t value, char *ret_text, size_t size)
{
	struct blame_chain chain;
	blame_follow(timeline, value, NULL, &chain);
	chain_describe(&chain, ret_text, size);
}

bool blame_polls(const struct wait *wait)
{
	return wait->deadline_ns < wait->since_ns + BLAME_POLL_NS;
}

static void blame_log(const struct wait *wait, sd_id128_t message_id, const char *what)
{
	struct blame_chain chain;
	char text[512];
	if (!wait->waiter || !client_log_claim(wait->waiter)) {
		return;
	}
	blame_follow(wait->timeline, wait->value, wait->waiter, &chain);
	chain_describe(&chain, text, sizeof(text));
	log_warning_about(&(struct log_subject){ .message_id = message_id,
						 .has_client = true,
						 .uid = wait->uid,
						 .pid = wait->waiter->credentials.pid,
						 .timeline = wait->timeline->name,
						 .device = wait->timeline->device->name },
			  "%s: its %s %s: %s", client_label(wait->waiter), wait_way_name(wait->way),
			  what, text);
}

void blame_log_expired(const struct wait *wait)
{
	blame_log(wait, LOG_MESSAGE_EXPIRED, "expired");
}

void blame_log_late(const struct wait *wait)
{
	blame_log(wait, LOG_MESSAGE_LATE, "is late");
}
