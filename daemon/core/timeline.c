// SPDX-License-Identifier: MIT
#include "timeline.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/param.h>

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
static int timeline_poll_create(struct timeline *timeline)
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

static void timeline_poll_destroy(struct timeline *timeline)
{
	if (timeline->watched) {
		watcher_disarm(timeline_registry(timeline)->watcher, timeline->watched);
		free(container_of(timeline->watched, struct polled, watched));
		timeline->watched = NULL;
	}
}

/* ---------------------------------------------------------------------------- birth and death -- */

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

static struct timeline *timeline_alloc(const char *name)
{
	size_t length = strlen(name) + 1;
	size_t size = offsetof(struct timeline, name) + length;
	struct timeline *timeline = calloc(1, MAX(size, sizeof(*timeline)));
	if (timeline) {
		memcpy(timeline->name, name, length);
	}
	return timeline;
}

static void timeline_free(struct timeline *timeline)
{
	if (timeline->brokered) {
		charge_release(&timeline->brokered->reserved_import);
		charge_release(&timeline->brokered->reserved_fds);
		free(timeline->brokered->end_reason);
	}
	free(timeline->brokered);
	free(timeline->counters);
	free(timeline->reason);
	free(timeline);
}

int timeline_reserve(struct timeline *timeline, struct user *user)
{
	struct brokered *brokered = timeline->brokered;
	if (timeline_has_reserve(timeline)) {
		return 0;
	}
	int r = charge_take(&brokered->reserved_import, user, ACCOUNT_IMPORTS, 1);
	if (r == 0) {
		r = charge_take(&brokered->reserved_fds, user, ACCOUNT_FDS, TIMELINE_RESERVED_FDS);
	}
	if (r < 0) {
		charge_release(&brokered->reserved_import);
	}
	return r;
}

bool timeline_has_reserve(const struct timeline *timeline)
{
	return timeline->brokered && timeline->brokered->reserved_import.amount > 0;
}

/* Adds the parts of its kind: brokered, or in memory with or without a signaler that rings. */
static int timeline_specialise(struct timeline *timeline, uint32_t flags)
{
	if (flags & FBK_TIMELINE_BROKERED) {
		timeline->brokered = calloc(1, sizeof(*timeline->brokered));
		if (!timeline->brokered) {
			return -ENOMEM;
		}
		TAILQ_INIT(&timeline->brokered->sources);
		return 0;
	}
	timeline->lane = flags & FBK_TIMELINE_LANE;
	timeline->narrow = !timeline->lane && device_signals_narrow(timeline->device);
	return timeline->device->silent && !timeline->lane ? timeline_poll_create(timeline) : 0;
}

struct lane_geometry timeline_geometry(const struct timeline *timeline)
{
	return lane_geometry_of(timeline->lane == FBK_TIMELINE_FRAMES, FBK_BUFFERS_MAX);
}

static int timeline_take_slot(struct timeline *timeline, struct set *set, struct user *user)
{
	struct registry *registry = timeline_registry(timeline);
	if (timeline->lane) {
		struct lane_geometry geometry = timeline_geometry(timeline);
		return set_lane_take(set, registry, user, lane_page_size(&geometry),
				     &timeline->slot);
	}
	return set_slot_take(set, registry, user, timeline->brokered ? NULL : timeline->device,
			     &timeline->slot);
}

int timeline_create(struct device *device, struct set *set, const char *name, uint32_t flags,
		    struct timeline **ret_timeline)
{
	struct registry *registry = device->registry;
	struct client *client = device->client;
	struct timeline *timeline = timeline_alloc(name);
	if (!timeline) {
		return -ENOMEM;
	}
	timeline->device = device;
	timeline->id = registry_new_id(registry);
	LIST_INIT(&timeline->handles);

	int r = timeline_specialise(timeline, flags);
	if (r == 0) {
		r = charge_grow(&client->timelines_charge, client->user, ACCOUNT_TIMELINES, 1);
	}
	if (r == 0) {
		r = timeline_take_slot(timeline, set, client->user);
		if (r < 0) {
			charge_shrink(&client->timelines_charge, 1);
		}
	}
	if (r < 0) {
		timeline_poll_destroy(timeline);
		timeline_free(timeline);
		return r;
	}
	timeline->set = set;
	if (timeline_shadowed(timeline)) {
		/* release: before the status below. Clears whatever the driver left in that memory. */
		atomic_store_explicit(&timeline_payload(timeline)->payload, 0,
				      memory_order_release);
	}
	struct fbk_control_slot *control = timeline_control(timeline);
	control->timeline_id = timeline->id;
	control->flags = timeline->narrow ? FBK_CONTROL_SHADOWED : 0;
	atomic_store_explicit(&control->failed_from, FBK_FAILED_FROM_NONE,
			      memory_order_relaxed); /* before the status below */
	timeline_publish(timeline, FBK_MONITORED_NONE);
	/* release: a reader that sees the slot in use sees it filled in */
	atomic_store_explicit(&control->status, FBK_STATUS_OK, memory_order_release);

	device->refs++;
	device->timelines++;
	LIST_INSERT_HEAD(&registry->timelines, timeline, links);
	registry->timeline_count++;
	*ret_timeline = timeline;
	return 0;
}

static void timeline_drop_pages(struct timeline *timeline)
{
	timeline_poll_destroy(timeline);
	struct set *set = timeline->set;
	timeline->set = NULL;
	set_unref(set);
}

int cause_error(enum fbk_cause cause)
{
	switch (cause) {
	case FBK_CAUSE_OWNER_DIED:
		return -EOWNERDEAD;
	case FBK_CAUSE_ADMIN:
		return -ECONNABORTED;
	default:
		return -EPIPE;
	}
}

void timeline_set_end(struct timeline *timeline, int error, const char *reason)
{
	struct brokered *brokered = timeline->brokered;
	free(brokered->end_reason);
	brokered->end_error = error;
	brokered->end_reason = reason ? strdup(reason) : NULL; /* without memory: the cause */
}

static void timeline_fail_left(struct timeline *timeline, enum fbk_cause cause)
{
	const struct brokered *brokered = timeline->brokered;
	if (brokered && brokered->end_reason) {
		timeline_fail(timeline, FBK_CAUSE_OWNER_FAILED, brokered->end_error,
			      brokered->end_reason);
	} else {
		timeline_fail(timeline, cause, cause_error(cause), NULL);
	}
}

void timeline_stop(struct timeline *timeline)
{
	timeline_refresh(timeline);
	if (timeline->let_go != FBK_CAUSE_NONE) {
		timeline_fail_left(timeline, timeline->let_go);
	} else {
		timeline_fail(timeline, FBK_CAUSE_DAEMON_LOST, -ENOTCONN, "the daemon was stopped");
	}
}

/* Its signaler has let go of it. */
static void timeline_end(struct timeline *timeline, enum fbk_cause cause)
{
	if (!MUTANT(DEATH_UNREAD)) {
		timeline_look(timeline); /* points reached by now count; fails on a bad payload */
	}
	timeline_fail_left(timeline, cause);
	/* The timeline never changes again. Clients that mapped the pages keep them; the daemon need
	 * not, and a waiter that stays must not cost the user of the former signaler. */
	timeline_drop_pages(timeline);
}

void timeline_orphan(struct timeline *timeline, enum fbk_cause cause)
{
	if (!timeline->set || timeline->let_go != FBK_CAUSE_NONE) {
		return;
	}
	timeline->device->timelines--;
	charge_shrink(&timeline->device->client->timelines_charge, 1);
	if (timeline->kept > 0) {
		timeline->let_go = (uint8_t)cause;
	} else {
		timeline_end(timeline, cause);
	}
}

void timeline_keep(struct timeline *timeline)
{
	timeline->kept++;
}

void timeline_unkeep(struct timeline *timeline)
{
	if (!timeline || --timeline->kept > 0) {
		return;
	}
	if (timeline->set && timeline->let_go != FBK_CAUSE_NONE) {
		timeline_end(timeline, timeline->let_go);
	}
	if (LIST_EMPTY(&timeline->handles)) {
		timeline_destroy(timeline);
	}
}

void timeline_destroy(struct timeline *timeline)
{
	assert(LIST_EMPTY(&timeline->handles) && timeline->kept == 0);
	timeline_orphan(timeline, FBK_CAUSE_OWNER_LEFT);
	LIST_REMOVE(timeline, links);
	timeline_registry(timeline)->timeline_count--;
	device_unref(timeline->device);
	timeline_free(timeline);
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
	timeline->cause = cause;
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
