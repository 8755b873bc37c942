// SPDX-License-Identifier: MIT
#include "timeline.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker.h"
#include "clock.h"
#include "device.h"
#include "import.h"
#include "log.h"
#include "mirror.h"
#include "pair.h"
#include "payload.h"
#include "session.h"
#include "timeline-watch.h"

static bool timeline_brokered(const struct timeline *timeline)
{
	return timeline->flags & FBK_TIMELINE_BROKERED;
}

static void timeline_publish(struct timeline *timeline, uint64_t monitored)
{
	timeline->monitored = monitored;
	/* seq_cst: with the seq_cst load of the payload that follows in timeline_look, against the
	 * signaler's seq_cst exchange of the payload and load of this word. One of the two sees the
	 * other's store, so a point passed while it is being armed is never missed. */
	atomic_store_explicit(&timeline->control->monitored, monitored, memory_order_seq_cst);
	if (timeline->watched) {
		timeline_watch_update(timeline);
	}
}

int timeline_create(struct device *device, struct set *set, const char *name, uint32_t flags,
		    struct timeline **ret_timeline)
{
	struct session *session = device->session;
	struct broker *broker = session->broker;
	struct timeline *timeline = calloc(1, sizeof(*timeline));
	if (!timeline) {
		return -ENOMEM;
	}
	timeline->broker = broker;
	timeline->id = broker_new_id(broker);
	timeline->flags = flags;
	timeline->failed_from = FBK_FAILED_FROM_NONE;
	memccpy(timeline->name, name, '\0', sizeof(timeline->name) - 1);
	LIST_INIT(&timeline->handles);
	TAILQ_INIT(&timeline->imports);

	bool in_memory = !timeline_brokered(timeline);
	timeline->narrow = in_memory && device_signals_narrow(device);
	int r = charge_take(&timeline->charge, session->user, ACCOUNT_TIMELINES, 1);
	if (r == 0 && in_memory && device->silent) {
		r = timeline_watch_create(timeline);
	}
	if (r == 0) {
		r = set_slot_take(set, broker, session->user, in_memory ? device : NULL,
				  &timeline->slot);
	}
	if (r < 0) {
		timeline_watch_destroy(timeline);
		charge_release(&timeline->charge);
		free(timeline);
		return r;
	}
	timeline->set = set;
	timeline->payload =
		fbk_payload_slot_at(timeline->slot.page->memory, timeline->slot.payload);
	timeline->control = fbk_control_slot_at(set->control->memory, timeline->slot.control);
	timeline->control->timeline_id = timeline->id;
	timeline->control->flags = timeline->narrow ? FBK_CONTROL_SHADOWED : 0;
	atomic_store_explicit(&timeline->control->failed_from, FBK_FAILED_FROM_NONE,
			      memory_order_relaxed); /* before the status below */
	timeline_publish(timeline, FBK_MONITORED_NONE);
	/* release: who sees the slot in use sees it filled in */
	atomic_store_explicit(&timeline->control->status, FBK_STATUS_OK, memory_order_release);

	timeline->owner = (struct timeline_owner){
		.pid = session->pid,
		.uid = session->subject.uid,
		.class = device->class,
	};
	memcpy(timeline->owner.device, device->name, sizeof(timeline->owner.device));
	timeline->device = device;
	device->timelines++;
	timeline->signaler = session;
	LIST_INSERT_HEAD(&session->signals, timeline, signaler_links);
	LIST_INSERT_HEAD(&broker->timelines, timeline, links);
	broker->timeline_count++;
	*ret_timeline = timeline;
	return 0;
}

static void timeline_drop_pages(struct timeline *timeline)
{
	timeline_watch_destroy(timeline);
	charge_release(&timeline->charge);
	timeline->payload = NULL;
	timeline->control = NULL;
	struct set *set = timeline->set;
	timeline->set = NULL;
	set_unref(set);
}

void timeline_orphan(struct timeline *timeline, enum fbk_cause cause)
{
	timeline_look(timeline); /* what was reached counts; nonsense is named as such */
	timeline_fail(timeline, cause, cause == FBK_CAUSE_OWNER_DIED ? -EOWNERDEAD : -EPIPE, NULL);
	if (timeline->signaler) {
		LIST_REMOVE(timeline, signaler_links);
		timeline->signaler = NULL;
	}
	if (timeline->device) {
		timeline->device->timelines--;
		timeline->device = NULL;
	}
	if (timeline->set) {
		/* It never changes again: whoever mapped the pages keeps them, we need not, and a
		 * waiter that stays must not cost the user who is gone. */
		timeline_drop_pages(timeline);
	}
}

void timeline_destroy(struct timeline *timeline)
{
	assert(LIST_EMPTY(&timeline->handles));
	timeline_orphan(timeline, FBK_CAUSE_OWNER_LEFT);
	LIST_REMOVE(timeline, links);
	timeline->broker->timeline_count--;
	free(timeline);
}

static void arm_take_off(struct arm *arm)
{
	heap_remove(&arm->timeline->arms, &arm->node);
	arm->timeline = NULL;
}

static void timeline_complete(struct timeline *timeline)
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
		arm_take_off(arm);
		arm->done(arm, timeline, state);
	}
}

/* G4: what a device wrote is believed only if it grew, within reason. NULL, or what is wrong with it. */
static const char *timeline_doubt(const struct timeline *timeline, uint64_t payload)
{
	if (payload >= FBK_POISON) {
		return "is not below 2^62";
	}
	if (payload < timeline->seen) {
		return "stepped back";
	}
	return payload - timeline->seen > payload_max_jump(timeline)
		       ? "jumped further than policy allows"
		       : NULL;
}

static void timeline_believe(struct timeline *timeline, uint64_t payload)
{
	if (payload > timeline->seen && timeline->device) {
		timeline->device->promise_broken = false; /* it delivers */
	}
	timeline->seen = payload;
	payload_publish_seen(timeline);
}

static bool timeline_accept(struct timeline *timeline, uint64_t payload)
{
	char reason[FBK_REASON_SIZE];
	const struct timeline_owner *owner = &timeline->owner;
	const char *what = timeline_doubt(timeline, payload);

	if (!what) {
		timeline_believe(timeline, payload);
		return true;
	}
	snprintf(reason, sizeof(reason),
		 "the payload of %s, written by %s (pid %d), %s: %llu after %llu", timeline->name,
		 owner->device, owner->pid, what, (unsigned long long)payload,
		 (unsigned long long)timeline->seen);
	timeline_fail(timeline, FBK_CAUSE_POLICING, -EPROTO, reason);
	return false;
}

void timeline_look(struct timeline *timeline)
{
	timeline->broker->counters.looks++;
	if (timeline->follows) {
		mirror_look(timeline->follows);
	}
	while (timeline->cause == FBK_CAUSE_NONE) {
		if (!timeline_accept(timeline, payload_load(timeline))) {
			return;
		}
		timeline_complete(timeline);
		struct heap_node *node = heap_min(&timeline->arms);
		uint64_t monitored = node ? node->key : FBK_MONITORED_NONE;
		if (monitored == timeline->monitored) {
			return;
		}
		timeline_publish(timeline, monitored); /* and re-read: rule R3 */
	}
}

void timeline_advance(struct timeline *timeline, uint64_t value)
{
	if (timeline->cause != FBK_CAUSE_NONE || value <= timeline->seen) {
		return;
	}
	timeline->seen = value; /* it was asked for: not a payload to be doubted */
	/* release: what led to the signal is visible to who sees it */
	atomic_store_explicit(&timeline->payload->payload, value, memory_order_release);
	timeline_look(timeline);
}

static void timeline_reason(struct timeline *timeline, enum fbk_cause cause, const char *reason)
{
	static const char *const sentences[] = {
		[FBK_CAUSE_OWNER_DIED] = "died or was cut off",
		[FBK_CAUSE_OWNER_LEFT] = "closed it",
		[FBK_CAUSE_OWNER_FAILED] = "failed it",
		[FBK_CAUSE_DEADLINE] = "did not deliver in time",
		[FBK_CAUSE_POLICING] = "wrote nonsense to it",
		[FBK_CAUSE_ADMIN] = "was stopped by the administrator",
		[FBK_CAUSE_FENCE_ERROR] = "waited for a kernel fence that failed",
		[FBK_CAUSE_DAEMON_LOST] = "lost the daemon",
	};
	if (reason && reason[0]) {
		wire_text_copy(timeline->reason, sizeof(timeline->reason), reason);
		return;
	}
	snprintf(timeline->reason, sizeof(timeline->reason), "%s (pid %d), the signaler of %s, %s",
		 timeline->owner.device, timeline->owner.pid, timeline->name, sentences[cause]);
}

/* What is reached by now stays reached while it fails, for those who look. */
static void timeline_bound(struct timeline *timeline, enum fbk_cause cause)
{
	uint64_t payload = payload_load(timeline);
	if (cause != FBK_CAUSE_POLICING && !timeline_doubt(timeline, payload)) {
		timeline_believe(timeline, payload);
	}
	/* relaxed: ordered by the status that is stored next. It only rises after that. */
	atomic_store_explicit(&timeline->control->failed_from, timeline->seen + 1,
			      memory_order_relaxed);
}

void timeline_fail(struct timeline *timeline, enum fbk_cause cause, int error, const char *reason)
{
	if (timeline->cause != FBK_CAUSE_NONE) {
		return;
	}
	struct fbk_control_slot *control = timeline->control;

	timeline_bound(timeline, cause);
	/* Readers load the payload, then the status. The order of these four is what they rely on:
	 * poison is never seen without at least `failing`, and neither status without a bound. */
	/* seq_cst: before the poison for readers; the exchange below is a full fence on its own */
	atomic_store_explicit(&control->status, FBK_STATUS_FAILING, memory_order_seq_cst);
	uint64_t old = payload_poison(timeline);
	uint64_t reached = old & ~FBK_POISON;
	if (old >= FBK_POISON || old < timeline->seen || cause == FBK_CAUSE_POLICING) {
		reached = timeline->seen; /* nonsense: what was seen before it counts */
	}
	timeline->failed_from = reached + 1;
	timeline->seen = reached;
	payload_publish_seen(timeline);
	timeline->cause = cause;
	timeline->error = error < 0 ? error : -EIO;
	timeline_reason(timeline, cause, reason);
	/* relaxed: ordered by the release below */
	atomic_store_explicit(&control->failed_from, timeline->failed_from, memory_order_relaxed);
	atomic_store_explicit(&control->cause, cause, memory_order_relaxed);
	atomic_store_explicit(&control->error, timeline->error, memory_order_relaxed);
	/* release: who sees `failed` sees bound, cause and error */
	atomic_store_explicit(&control->status, FBK_STATUS_FAILED, memory_order_release);
	timeline->broker->counters.timelines_failed++;
	log_debug("timeline %s failed from %llu: %s", timeline->name,
		  (unsigned long long)timeline->failed_from, timeline->reason);

	/* Nobody is waited for any more: said before the first of them is woken. */
	timeline_publish(timeline, FBK_MONITORED_NONE);
	import_drop_all(timeline);
	timeline_complete(timeline);
	pair_wake_all(timeline);
}

int timeline_point_state(const struct timeline *timeline, uint64_t value)
{
	if (timeline->cause == FBK_CAUSE_NONE) {
		return value <= timeline->seen ? 0 : -EAGAIN;
	}
	return value < timeline->failed_from ? 0 : timeline->error;
}

void arm_add(struct arm *arm, struct timeline *timeline, uint64_t value)
{
	assert(!arm->timeline);
	arm->timeline = timeline;
	arm->since_ns = clock_now_ns();
	heap_insert(&timeline->arms, &arm->node, value);
	if (timeline->cause != FBK_CAUSE_NONE) {
		timeline_complete(timeline); /* its pages may be gone */
	} else {
		timeline_look(timeline);
	}
}

void arm_remove(struct arm *arm)
{
	if (!arm->timeline) {
		return;
	}
	struct timeline *timeline = arm->timeline;
	arm_take_off(arm);
	struct heap_node *node = heap_min(&timeline->arms);
	if (timeline->cause == FBK_CAUSE_NONE && timeline->monitored != FBK_MONITORED_NONE &&
	    (!node || node->key > timeline->monitored)) {
		/* Too low a value would only cost the signaler a ring; put it right at once. Raising
		 * it needs no re-read: what is armed was compared when it was armed. */
		timeline_publish(timeline, node ? node->key : FBK_MONITORED_NONE);
	}
}

int arm_expire(struct arm *arm)
{
	struct timeline *timeline = arm->timeline;
	uint64_t value = arm_point(arm);
	arm_remove(arm);
	if (timeline->cause == FBK_CAUSE_NONE) {
		timeline_look(timeline);
	}
	return timeline_point_state(timeline, value);
}
