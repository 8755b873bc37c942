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
#include "daemon/core/link.h"
#include "daemon/core/pair.h"
#include "daemon/core/watch.h"
#include "daemon/translate/export.h"
#include "daemon/translate/import.h"
#include "daemon/translate/mirror.h"

#define BLAME_LOOKED_AT 1024       /* looks at this many waits of a process; follows the oldest */
#define BLAME_POLL_NS   (NS_PER_S) /* a client with a shorter timeout is polling */

/* --------------------------------------------------------------------- what a process waits for -- */

/* Does it wait for the next frame on a lane? (The other idle timeline is a link's state, whose next change no process
 * owes.) */
static bool wait_is_for_frame(const struct wait *wait)
{
	return wait->timeline->idle && !wait->timeline->brokered;
}

/* Takes the older wait. A process's waits for its own devices are left out: they do not keep it from signalling for
 * others. A wait for the next frame may do so; it is followed only where there is no other wait. */
static void wait_older(struct wait *oldest, const struct client *client, struct wait other)
{
	if (!other.timeline || timeline_signaler(other.timeline) == client ||
	    timeline_point_state(other.timeline, other.value) != -EAGAIN ||
	    (other.timeline->idle && !wait_is_for_frame(&other))) {
		return;
	}
	bool frame = other.timeline->idle;
	bool have_frame = oldest->timeline && oldest->timeline->idle;
	if (!oldest->timeline || (have_frame && !frame) ||
	    (have_frame == frame && other.since_ns < oldest->since_ns)) {
		*oldest = other;
	}
}

/* The oldest wait of this process, among the first BLAME_LOOKED_AT. */
static struct wait oldest_wait_of(const struct client *client)
{
	struct wait oldest = { 0 };
	unsigned int left = BLAME_LOOKED_AT;
	const struct export *export;
	LIST_FOREACH(export, &client->promises, asked_links) {
		wait_older(&oldest, client, export_wait(export)); /* waited for in the kernel */
	}
	LIST_FOREACH(export, &client->exports, links) {
		if (left == 0) {
			break;
		}
		left--;
		wait_older(&oldest, client, export_wait(export));
	}
	for (uint32_t number = 1; number < client->handles_size && left > 0; number++) {
		const struct handle *handle = client->handles[number];
		const struct watch *watch;
		left--;
		if (!handle) {
			continue;
		}
		wait_older(&oldest, client, handle_wait(handle));
		wait_older(&oldest, client, pair_wait(handle));
		LIST_FOREACH(watch, &handle->watches, links) {
			if (left == 0) {
				break;
			}
			left--;
			wait_older(&oldest, client, watch_wait(watch));
		}
	}
	return oldest;
}

static enum blame_end process_end(pid_t pid)
{
	switch (process_state(pid)) {
	case 'T':
	case 't':
		return BLAME_STOPPED;
	case 'D':
		return BLAME_HANGS;
	case 'Z':
	case 'X':
	case 0:
		return BLAME_DEAD;
	default:
		return BLAME_SILENT;
	}
}

/* ------------------------------------------------------------------------------------ the chain -- */

/* The step at which a cycle begins; `chain->count` when there is none. */
static size_t chain_begin(const struct blame_chain *chain, const struct client *waiter,
			  const struct client *signaler)
{
	if (waiter == signaler && chain->count > 1) {
		return 0;
	}
	for (size_t i = 0; i + 1 < chain->count; i++) {
		if (timeline_signaler(chain->steps[i].timeline) == signaler) {
			return i + 1;
		}
	}
	return chain->count;
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
	enum blame_end end = process_end(timeline->device->pid);
	if (end != BLAME_STOPPED && (import_pending(timeline, value) || mirror_follows(timeline))) {
		return BLAME_FENCE;
	}
	const struct client *signaler = timeline_signaler(timeline);
	if (end == BLAME_STOPPED || end == BLAME_DEAD || !signaler) {
		return end;
	}
	chain->cycle = chain_begin(chain, waiter, signaler);
	if (chain->cycle < chain->count) {
		return BLAME_CYCLE;
	}
	*ret_next = oldest_wait_of(signaler);
	return ret_next->timeline && chain->count == BLAME_DEPTH ? BLAME_DEEP : end;
}

/* Is the process at the end of the chain certainly unable to signal? Of a process that runs it is unknown whether it
 * owes the frame that the others wait for. */
static bool chain_is_certain(const struct blame_chain *chain)
{
	return chain->end == BLAME_STOPPED || chain->end == BLAME_HANGS || chain->end == BLAME_DEAD;
}

void blame_follow(struct timeline *timeline, uint64_t value, const struct client *waiter,
		  struct blame_chain *ret_chain)
{
	struct wait next = { .timeline = timeline, .value = value };
	size_t frame = 0; /* steps before the first wait for a frame; 0: no such wait */
	enum blame_end frame_end = BLAME_SILENT;
	ret_chain->count = 0;
	do {
		ret_chain->steps[ret_chain->count++] =
			(struct blame_step){ next.timeline, next.value };
		next.timeline = NULL;
		ret_chain->end = chain_last(ret_chain, waiter, &next);
		if (next.timeline && next.timeline->idle && frame == 0) {
			frame = ret_chain->count;
			frame_end = ret_chain->end;
		}
	} while (next.timeline && ret_chain->count < BLAME_DEPTH);
	if (frame > 0 && !chain_is_certain(ret_chain)) {
		ret_chain->count = frame;
		ret_chain->end = frame_end;
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
	[BLAME_HANGS] = { "hangs", "hangs in the kernel" },
	[BLAME_DEAD] = { "dead", "is dead" },
	[BLAME_SILENT] = { "silent", "waits for no process here and has not signalled" },
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
		text_add(&text, "%s (pid %d) %s", last->device->name, last->device->pid,
			 ends[chain->end].says);
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
		text_add(&text, ", which %s", ends[chain->end].says);
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

void blame_log_expired(const struct wait *wait)
{
	struct blame_chain chain;
	char text[512];
	if (!wait->waiter || !client_log_claim(wait->waiter)) {
		return;
	}
	blame_follow(wait->timeline, wait->value, wait->waiter, &chain);
	chain_describe(&chain, text, sizeof(text));
	log_warning_about(&(struct log_subject){ .message_id = LOG_MESSAGE_EXPIRED,
						 .has_client = true,
						 .uid = wait->uid,
						 .pid = wait->waiter->credentials.pid,
						 .timeline = wait->timeline->name,
						 .device = wait->timeline->device->name },
			  "%s: its %s expired: %s", client_label(wait->waiter),
			  wait_way_name(wait->way), text);
}
