// SPDX-License-Identifier: MIT
#include "timeline.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "payload.h"
#include "proto/container.h"
#include "proto/error.h"
#include "proto/mutant.h"
#include "proto/narrow.h"
#include "proto/wire.h"
#include "watcher.h"

struct client *timeline_signaler(const struct timeline *timeline)
{
	return timeline->set && !timeline->let_go ? timeline->device->client : NULL;
}

struct registry *timeline_registry(const struct timeline *timeline)
{
	return timeline->device->registry;
}

static uint64_t timeline_load(const struct timeline *timeline)
{
	return payload_load(timeline_payload(timeline), timeline->narrow, timeline->seen);
}

/* The largest plausible rise from one look to the next. */
static uint64_t timeline_max_jump(const struct timeline *timeline)
{
	uint64_t max_jump = policy_settings(timeline_registry(timeline)->policy)->max_jump;
	return timeline->narrow && max_jump >= FBK_NARROW_REACH ? FBK_NARROW_REACH - 1 : max_jump;
}

/* Readers extend a narrow payload from this value, and read the shadow of registered memory. */
static void timeline_publish_seen(const struct timeline *timeline)
{
	if (timeline->narrow || timeline_shadowed(timeline)) {
		/* release: a reader that extends from this value loads a word that is not older */
		atomic_store_explicit(&timeline_control(timeline)->shadow, timeline->seen,
				      memory_order_release);
	}
}

/* -------------------------------------------------------------- the payload of a silent device -- */

/* The payload is polled only while a point is monitored. Allocated apart, so that timelines that are never polled stay
 * small. */
struct polled {
	struct timeline *timeline;
	struct watched watched;
};

static void timeline_poll_update(struct timeline *timeline)
{
	struct watcher *watcher = timeline_registry(timeline)->watcher;
	uint64_t value = timeline_monitored(timeline);
	if (value == FBK_MONITORED_NONE || timeline->cause != FBK_CAUSE_NONE) {
		watcher_disarm(watcher, timeline->watched);
		return;
	}
	/* Look early where the payload might rise further than a single look can accept. */
	uint64_t far = timeline->narrow ? FBK_NARROW_STEP : timeline_max_jump(timeline) + 1;
	if (value > timeline->seen && value - timeline->seen > far) {
		value = timeline->seen + far;
	}
	watcher_arm(watcher, timeline->watched, timeline_payload(timeline), timeline->seen, value);
}

static void timeline_poll_hit(struct watched *watched)
{
	struct timeline *timeline = container_of(watched, struct polled, watched)->timeline;
	timeline_registry(timeline)->counters.watcher_hits++;
	timeline_look(timeline);
	if (timeline->watched) {
		timeline_poll_update(timeline); /* in case the look had nothing to publish */
	}
}

/* No-op without a watcher. -ENOMEM. */
int timeline_poll_create(struct timeline *timeline)
{
	if (!timeline_registry(timeline)->watcher) {
		return 0;
	}
	struct polled *polled = calloc(1, sizeof(*polled));
	if (!polled) {
		return -ENOMEM;
	}
	polled->timeline = timeline;
	polled->watched.narrow = timeline->narrow;
	polled->watched.hit = timeline_poll_hit;
	timeline->watched = &polled->watched;
	return 0;
}

void timeline_poll_destroy(struct timeline *timeline)
{
	if (timeline->watched) {
		watcher_disarm(timeline_registry(timeline)->watcher, timeline->watched);
		free(container_of(timeline->watched, struct polled, watched));
		timeline->watched = NULL;
	}
}

void timeline_publish(struct timeline *timeline, uint64_t monitored)
{
	/* D2. seq_cst: this store and the seq_cst load of the payload that follows in timeline_look pair
	 * with the signaler's seq_cst exchange of the payload and load of this word. One of the two sees
	 * the other's store, so a point that is passed while it is being armed is never missed. */
	if (MUTANT(PUBLISH_FENCE)) {
		mutant_store(&timeline_control(timeline)->monitored, monitored);
	} else {
		atomic_store_explicit(&timeline_control(timeline)->monitored, monitored,
				      memory_order_seq_cst);
	}
	if (timeline->watched) {
		timeline_poll_update(timeline);
	}
}

/* -------------------------------------------------------------------------------- looking at it -- */

void timeline_take_off(struct timeline *timeline, struct arm *arm)
{
	heap_remove(&timeline->arms, &arm->node);
	timeline->armed--;
	arm->timeline = NULL;
}

void timeline_complete(struct timeline *timeline)
{
	for (;;) {
		struct heap_node *node = heap_min(&timeline->arms);
		if (!node) {
			return;
		}
		struct arm *arm = container_of(node, struct arm, node);
		int state = timeline_point_state(timeline, node->key);
		if (state == -EAGAIN) {
			return;
		}
		timeline_take_off(timeline, arm);
		arm->done(arm, timeline, state);
	}
}

/* G4: a payload is plausible only if it grew, within bounds. NULL, or what is wrong with it. */
static const char *timeline_doubt(const struct timeline *timeline, uint64_t payload)
{
	if (payload >= FBK_POISON) {
		return "is not below 2^62";
	}
	if (payload < timeline->seen) {
		return "stepped back";
	}
	return payload - timeline->seen > timeline_max_jump(timeline)
		       ? "jumped further than policy allows"
		       : NULL;
}

/* For reports; only for timelines that had a waiter, which made the counters. */
static void timeline_note_change(struct timeline *timeline)
{
	if (timeline->counters) {
		timeline->counters->changed_ns = clock_now_ns();
	}
}

static void timeline_believe(struct timeline *timeline, uint64_t payload)
{
	if (payload > timeline->seen) {
		timeline->device->promise_broken = false; /* it reached a point again */
		timeline_note_change(timeline);
	}
	timeline->seen = payload;
	timeline_publish_seen(timeline);
}

static bool timeline_accept(struct timeline *timeline, uint64_t payload)
{
	char reason[FBK_REASON_SIZE];
	const struct device *device = timeline->device;
	const char *what = timeline_doubt(timeline, payload);

	if (!what) {
		timeline_believe(timeline, payload);
		return true;
	}
	snprintf(reason, sizeof(reason),
		 "the payload of %s, written by %s (pid %d), %s: %llu after %llu", timeline->name,
		 device->name, device->pid, what, (unsigned long long)payload,
		 (unsigned long long)timeline->seen);
	timeline_fail(timeline, FBK_CAUSE_POLICING, -EPROTO, reason);
	return false;
}

uint64_t timeline_smallest(const struct timeline *timeline)
{
	const struct heap_node *node = heap_min(&timeline->arms);
	return node ? node->key : FBK_MONITORED_NONE;
}

static struct source *timeline_source(const struct timeline *timeline)
{
	return timeline->brokered ? TAILQ_FIRST(&timeline->brokered->sources) : NULL;
}

void timeline_catch_up(struct timeline *timeline, uint64_t value)
{
	struct source *source = timeline_source(timeline);
	if (source && source->ops->catch_up) {
		source->ops->catch_up(source, value);
	}
}

void timeline_hint(struct timeline *timeline, uint64_t value, uint64_t deadline_ns)
{
	struct source *source = timeline_source(timeline);
	if (source && source->ops->hint) {
		source->ops->hint(source, value, deadline_ns);
	}
}

void timeline_refresh(struct timeline *timeline)
{
	if (timeline->cause == FBK_CAUSE_NONE) {
		timeline_look(timeline);
	}
}

void timeline_look(struct timeline *timeline)
{
	struct source *source = timeline_source(timeline);
	timeline_registry(timeline)->counters.looks++;
	if (source && source->ops->look) {
		source->ops->look(source);
	}
	while (timeline->cause == FBK_CAUSE_NONE) {
		uint64_t payload = timeline_load(timeline);
		MUTANT_STRETCH();
		if (page_lost(timeline->slot.page)) {
			timeline_fail(timeline, FBK_CAUSE_OWNER_FAILED, -EIO,
				      "the driver took the fence memory away");
			return;
		}
		if (!timeline_accept(timeline, payload)) {
			return;
		}
		timeline_complete(timeline);
		graph_decided(&timeline_registry(timeline)->graph, timeline, timeline->seen);
		uint64_t monitored = timeline_smallest(timeline);
		if (monitored == timeline_monitored(timeline)) {
			return;
		}
		timeline_publish(timeline, monitored); /* and re-read: rule R3 (D3) */
		if (MUTANT(DAEMON_REREAD)) {
			return;
		}
	}
}

void timeline_advance(struct timeline *timeline, uint64_t value)
{
	if (timeline->cause != FBK_CAUSE_NONE || value <= timeline->seen) {
		return;
	}
	timeline->seen = value; /* the daemon's own value needs no check of its rise */
	timeline_note_change(timeline);
	/* release: a waiter that sees the payload sees everything before the signal */
	atomic_store_explicit(&timeline_payload(timeline)->payload, value, memory_order_release);
	timeline_look(timeline);
}

static const char *const cause_sentences[] = {
	[FBK_CAUSE_NONE] = "",
	[FBK_CAUSE_OWNER_DIED] = "died or was disconnected",
	[FBK_CAUSE_OWNER_LEFT] = "closed it",
	[FBK_CAUSE_OWNER_FAILED] = "failed it",
	[FBK_CAUSE_DEADLINE] = "missed the deadline",
	[FBK_CAUSE_POLICING] = "wrote an implausible payload",
	[FBK_CAUSE_ADMIN] = "was stopped by the administrator",
	[FBK_CAUSE_FENCE_ERROR] = "waited for a kernel fence that failed",
	[FBK_CAUSE_DAEMON_LOST] = "lost the daemon",
};

/* When out of memory, timeline_reason falls back to the cause. */
static void timeline_keep_reason(struct timeline *timeline, const char *reason)
{
	char text[FBK_REASON_SIZE];
	if (reason && reason[0]) {
		wire_text_copy(text, sizeof(text), reason);
	} else {
		snprintf(text, sizeof(text), "timeline %s failed: %s (pid %d) %s", timeline->name,
			 timeline->device->name, timeline->device->pid,
			 cause_sentences[timeline->cause]);
	}
	timeline->reason = strdup(text);
}

const char *timeline_reason(const struct timeline *timeline)
{
	return timeline->reason ? timeline->reason : cause_sentences[timeline->cause];
}

/* Set a first bound: for readers, points reached by now stay reached while the timeline fails. */
static void timeline_bound(struct timeline *timeline, enum fbk_cause cause)
{
	uint64_t payload = timeline_load(timeline);
	if (cause != FBK_CAUSE_POLICING && !timeline_doubt(timeline, payload) &&
	    !MUTANT(DEATH_UNREAD)) {
		timeline_believe(timeline, payload);
	}
	/* relaxed: the store of the status that follows orders it. After that the bound only rises. */
	atomic_store_explicit(&timeline_control(timeline)->failed_from, timeline->seen + 1,
			      memory_order_relaxed);
}

/* Poison needs a guard where hardware writes the page. */
static bool timeline_by_hardware(const struct timeline *timeline)
{
	return !timeline->brokered &&
	       (timeline->watched || timeline->device->class != FBK_CLASS_CPU);
}

/* Poison the payload, and guard the poison where hardware may overwrite it. Returns the old value. */
static uint64_t timeline_poison(struct timeline *timeline)
{
	struct registry *registry = timeline_registry(timeline);
	uint32_t word;
	uint64_t old =
		payload_poison(timeline_payload(timeline), timeline->narrow, timeline->seen, &word);
	if (registry->watcher && !registry->ending && timeline_by_hardware(timeline)) {
		watcher_guard(registry->watcher, timeline->set, timeline_payload(timeline),
			      timeline->narrow, word);
	}
	return old;
}

void timeline_fail(struct timeline *timeline, enum fbk_cause cause, int error, const char *reason)
{
	if (timeline->cause != FBK_CAUSE_NONE) {
		return;
	}
	struct fbk_control_slot *control = timeline_control(timeline);

	timeline_bound(timeline, cause);
	/* Readers load the payload, then the status, and rely on the order of the stores here: no reader
	 * sees poison without at least the status `failing`, nor either status without a bound. */
	/* F1. seq_cst: before the poison for readers; the exchange below (F2) is a full fence */
	atomic_store_explicit(&control->status, FBK_STATUS_FAILING, memory_order_seq_cst);
	uint64_t old = timeline_poison(timeline);
	uint64_t reached = old & ~FBK_POISON;
	if (old >= FBK_POISON || old < timeline->seen || cause == FBK_CAUSE_POLICING ||
	    MUTANT(DEATH_UNREAD)) {
		reached = timeline->seen; /* implausible: the last good value counts */
	}
	timeline->seen = reached;
	timeline_publish_seen(timeline);
	timeline->cause = (uint8_t)cause;
	timeline->error = error < 0 ? error : -EIO;
	timeline_keep_reason(timeline, reason);
	/* relaxed: ordered by the release below */
	atomic_store_explicit(&control->failed_from, timeline_failed_from(timeline),
			      memory_order_relaxed);
	atomic_store_explicit(&control->cause, cause, memory_order_relaxed);
	atomic_store_explicit(&control->error, timeline->error, memory_order_relaxed);
	/* F3. release: a reader that sees `failed` sees bound, cause and error */
	atomic_store_explicit(&control->status, FBK_STATUS_FAILED, memory_order_release);
	timeline_registry(timeline)->counters.timelines_failed++;
	log_debug("timeline %s failed from %llu: %s", timeline->name,
		  (unsigned long long)timeline_failed_from(timeline), timeline_reason(timeline));

	/* F4, F5. Clear the monitored value before the first waiter is woken. */
	timeline_publish(timeline, FBK_MONITORED_NONE);
	MUTANT_STRETCH();
	for (struct source *source; (source = timeline_source(timeline));) {
		source->ops->drop(source);
	}
	graph_decided(&timeline_registry(timeline)->graph, timeline, UINT64_MAX);
	if (MUTANT(DEATH_SILENT)) {
		return;
	}
	timeline_complete(timeline);
	registry_timeline_failed(timeline_registry(timeline), timeline);
}

struct timeline_counters *timeline_count(struct timeline *timeline)
{
	static struct timeline_counters lost;
	if (!timeline->counters) {
		timeline->counters = calloc(1, sizeof(*timeline->counters));
		if (timeline->counters) {
			timeline->counters->changed_ns = clock_now_ns();
		}
	}
	return timeline->counters ? timeline->counters : &lost;
}

int timeline_error(const struct timeline *timeline)
{
	return timeline->cause == FBK_CAUSE_DAEMON_LOST ? timeline->error
							: error_foreign(timeline->error);
}

int timeline_point_state(const struct timeline *timeline, uint64_t value)
{
	if (value <= timeline->seen) {
		return 0;
	}
	return timeline->cause == FBK_CAUSE_NONE ? -EAGAIN : timeline_error(timeline);
}
