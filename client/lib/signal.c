// SPDX-License-Identifier: MIT
/* Signals: the other hot path. No lock, and no system call while no waiter sleeps. */
#include <errno.h>

#include "bell.h"
#include "brokered.h"
#include "context.h"
#include "error.h"
#include "mirror.h"
#include "pair-signal.h"
#include "point-error.h"
#include "point.h"
#include "proto/mutant.h"
#include "request.h"
#include "signal-narrow.h"
#include "timeline.h"

/* For the next exchange, which corrects it: so threads may overtake each other here. */
static inline void timeline_remember(struct fbk_timeline *timeline, uint64_t value)
{
	/* relaxed: a guess */
	atomic_store_explicit(&timeline->last, value, memory_order_relaxed);
}

/* S2, S3, S7: wake the waiters. */
static inline void signal_notify(struct fbk_timeline *timeline, uint64_t value)
{
	/* seq_cst: after the store of the payload, see mirror_add in mirror.c */
	if (atomic_load_explicit(&timeline->mirrored, memory_order_seq_cst)) {
		mirrors_signal(timeline);
	}
	/* seq_cst: after the store of the payload, see place_show in pair-signal.c */
	if (atomic_load_explicit(&timeline->cell_count, memory_order_seq_cst) > 0) {
		pairs_signal(timeline, value);
	}
	/* seq_cst: after the store of the payload, see below */
	if (atomic_load_explicit(&timeline->control->monitored, memory_order_seq_cst) <= value) {
		bell_ring(timeline->context, timeline->handle);
		pairs_refresh(timeline);
	}
	MUTANT_STRETCH();
}

/* S1. Raise the payload from what it is expected to be; else `expected` is what it is. */
static inline bool payload_raise(struct fbk_timeline *timeline, uint64_t *expected, uint64_t value)
{
	if (MUTANT(SIGNAL_FENCE)) {
		return mutant_exchange(timeline->payload, expected, value);
	}
	/* seq_cst: releases what was written before, and is the full fence between the payload and
	 * the loads of cells and `monitored` that follow; against a waiter that stores these and loads this.
	 * relaxed on failure: nothing is concluded but to look again. */
	return atomic_compare_exchange_strong_explicit(timeline->payload, expected, value,
						       memory_order_seq_cst, memory_order_relaxed);
}

static int signal_in_memory(struct fbk_timeline *timeline, uint64_t value)
{
	/* relaxed: a guess */
	uint64_t expected = atomic_load_explicit(&timeline->last, memory_order_relaxed);
	for (;;) {
		if (expected >= FBK_POISON) {
			return error_of_signal(timeline, timeline_check(timeline, FBK_POINT_MAX));
		}
		if (expected >= value) {
			timeline_remember(timeline, expected);
			signal_notify(timeline, expected); /* a device may have stored it */
			return error_set(-EALREADY, "%llu is not above %llu, the payload of %s",
					 (unsigned long long)value, (unsigned long long)expected,
					 timeline->name);
		}
		if (payload_raise(timeline, &expected, value)) {
			break;
		}
	}
	timeline_remember(timeline, value);
	signal_notify(timeline, value);
	return 0;
}

static int signal_narrow(struct fbk_timeline *timeline, uint64_t value)
{
	uint64_t reached;
	int r = narrow_raise(timeline, value, &reached);
	if (r == 0 || r == -EALREADY) {
		signal_notify(timeline, reached); /* a device may have stored it */
	}
	return r;
}

static int signal_by_request(struct fbk_timeline *timeline, uint64_t value)
{
	REQUEST(request, TIMELINE_SIGNAL, timeline_signal, .handle = timeline->handle,
		.value = value);
	return brokered_give(timeline, value, &request, NULL);
}

static int signal_slowly(struct fbk_timeline *timeline, uint64_t value)
{
	if (value == 0 || value > FBK_POINT_MAX) {
		return error_set(-ERANGE, "%llu is not a point: points are 1 to 2^62 - 1",
				 (unsigned long long)value);
	}
	if (!(timeline->rights & FBK_RIGHT_SIGNAL)) {
		return error_set(-EPERM, "no right to signal timeline %s", timeline->name);
	}
	if (timeline->flags & FBK_TIMELINE_BROKERED) {
		return signal_by_request(timeline, value);
	}
	int r = context_check(timeline->context);
	if (r < 0) {
		return r;
	}
	return timeline->narrow ? signal_narrow(timeline, value)
				: signal_in_memory(timeline, value);
}

/* What signal_notify() looks at: later loads wait for the exchange, which is a full fence, and so would their
 * cache misses. */
static inline void signal_prefetch(const struct fbk_timeline *timeline)
{
	__builtin_prefetch(&timeline->control->monitored);
	/* relaxed, both: they are loaded again after the exchange */
	uint32_t count = atomic_load_explicit(&timeline->cell_count, memory_order_relaxed);
	for (uint32_t i = 0; i < count; i++) {
		__builtin_prefetch(atomic_load_explicit(&timeline->cells[i], memory_order_relaxed));
	}
}

int fbk_timeline_signal(struct fbk_timeline *timeline, uint64_t value)
{
	/* What nearly every signal is; the rest, and every error, takes the slow path. */
	if (timeline->writes && *timeline->ours && value - 1 < FBK_POINT_MAX) {
		/* relaxed: a guess. Kept apart from the payload, so that a signal does not have to
		 * fetch the waiter's cache line twice. */
		uint64_t expected = atomic_load_explicit(&timeline->last, memory_order_relaxed);
		signal_prefetch(timeline);
		if (expected < value && payload_raise(timeline, &expected, value)) {
			timeline_remember(timeline, value);
			signal_notify(timeline, value);
			return 0;
		}
	}
	return signal_slowly(timeline, value);
}

int fbk_point_signal(struct fbk_point point)
{
	if (!point.timeline) {
		return error_set(-EINVAL, "the signalled point cannot be signalled");
	}
	return fbk_timeline_signal(point.timeline, point.value);
}
