// SPDX-License-Identifier: MIT
/* The hot paths: signal and check. No lock, and no system call while nobody sleeps. */
#include <errno.h>
#include <sys/eventfd.h>

#include "internal.h"
#include "pair.h"
#include "proto/fencebroker.pb-c.h"
#include "proto/mutant.h"
#include "request.h"

void bell_ring(struct fbk_context *context, uint32_t handle)
{
	struct fbk_pair_page *pair = context->pair;
	MUTANT_STRETCH();
	uint64_t bit = UINT64_C(1) << (handle % 64);
	/* seq_cst, in this order, then the write: the daemon takes the summary, then the word. A bit
	 * that is set too late for it is followed by a ring of its own. */
	atomic_fetch_or_explicit(&pair->bell[handle / 64], bit, memory_order_seq_cst);
	atomic_fetch_or_explicit(&pair->bell_summary, UINT64_C(1) << (handle / 64),
				 memory_order_seq_cst);
	/* Non-blocking; a full counter means that it was rung 2^64 times. */
	eventfd_write(context->doorbell, 1);
}

static uint64_t payload_load(const struct fbk_timeline *timeline)
{
	if (timeline->narrow) {
		return narrow_load(timeline);
	}
	/* seq_cst: see timeline_check */
	return atomic_load_explicit(timeline->payload, memory_order_seq_cst);
}

static int timeline_error(const struct fbk_timeline *timeline)
{
	/* relaxed: after an acquire load of the status that was `failed` */
	int error = atomic_load_explicit(&timeline->control->error, memory_order_relaxed);
	return error < 0 ? error : -EIO;
}

int timeline_check(const struct fbk_timeline *timeline, uint64_t value)
{
	/* seq_cst: as an acquire, what was written before the signal is visible, and the status is
	 * loaded after, so that poison is never seen without a status of at least `failing`. Beyond
	 * that, after the minimum of a cell was lowered, that is seen by who signals, or its signal
	 * here. It costs what an acquire costs where loads do not pass loads. */
	uint64_t payload = payload_load(timeline);
	/* acquire: with `failing` comes a bound, with `failed` the last one and the error */
	uint32_t status = atomic_load_explicit(&timeline->control->status, memory_order_acquire);

	if (status == FBK_STATUS_OK) {
		if (payload < FBK_POISON) {
			return payload >= value ? 0 : -EAGAIN;
		}
		bell_ring(timeline->context, timeline->handle); /* nonsense: let the daemon look */
		return -EAGAIN;
	}
	/* relaxed: see above */
	uint64_t bound =
		atomic_load_explicit(&timeline->control->failed_from, memory_order_relaxed);
	if (value < bound) {
		return 0; /* also while it is failing: an eventfd may have told of it already */
	}
	/* else failing: decided in a moment */
	return status == FBK_STATUS_FAILED ? timeline_error(timeline) : -EAGAIN;
}

/* What most checks find, without a call. The two loads are those of timeline_check. */
static inline bool point_reached(const struct fbk_timeline *timeline, uint64_t value)
{
	if (timeline->narrow) {
		return false;
	}
	uint64_t payload = atomic_load_explicit(timeline->payload, memory_order_seq_cst);
	uint32_t status = atomic_load_explicit(&timeline->control->status, memory_order_acquire);
	return status == FBK_STATUS_OK && payload >= value && payload < FBK_POISON;
}

static __attribute__((noinline)) int point_check_slowly(struct fbk_point point)
{
	int r = timeline_check(point.timeline, point.value);
	if (r == -EAGAIN && point.timeline->shadow) {
		bell_ring(point.timeline->context,
			  point.timeline->handle); /* let the daemon look */
	}
	return r == -EAGAIN && context_lost(point.timeline->context) ? -ENOTCONN : r;
}

int fbk_point_check(struct fbk_point point)
{
	const struct fbk_timeline *timeline = point.timeline;
	if (!timeline) {
		return 0;
	}
	if (!*timeline->ours) {
		return -EBADF;
	}
	return point_reached(timeline, point.value) ? 0 : point_check_slowly(point);
}

uint64_t fbk_timeline_value(const struct fbk_timeline *timeline)
{
	uint64_t payload = payload_load(timeline);
	/* acquire: as in timeline_check */
	uint32_t status = atomic_load_explicit(&timeline->control->status, memory_order_acquire);
	if (status == FBK_STATUS_FAILED) {
		return atomic_load_explicit(&timeline->control->failed_from, memory_order_relaxed) -
		       1;
	}
	return payload & ~FBK_POISON;
}

/* For the next exchange, which corrects it: so threads may overtake each other here. */
static inline void timeline_remember(struct fbk_timeline *timeline, uint64_t value)
{
	/* relaxed: a guess */
	atomic_store_explicit(&timeline->last, value, memory_order_relaxed);
}

/* S2, S3, S7: who waits for that? */
static inline void signal_told(struct fbk_timeline *timeline, uint64_t value)
{
	/* seq_cst: after the store of the payload, see mirror_add */
	if (atomic_load_explicit(&timeline->mirrored, memory_order_seq_cst)) {
		mirrors_signal(timeline);
	}
	/* seq_cst: after the store of the payload, see place_show in pair.c */
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
	 * the loads of cells and `monitored` that follow; against who stores these and loads this.
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
			int error = timeline_check(timeline, FBK_POINT_MAX);
			return error_set(error == -EAGAIN ? -ECANCELED : error,
					 "timeline %s failed", timeline->name);
		}
		if (expected >= value) {
			timeline_remember(timeline, expected);
			signal_told(timeline, expected); /* a device may have stored it */
			return error_set(-EALREADY, "%llu is not above %llu, the payload of %s",
					 (unsigned long long)value, (unsigned long long)expected,
					 timeline->name);
		}
		if (payload_raise(timeline, &expected, value)) {
			break;
		}
	}
	timeline_remember(timeline, value);
	signal_told(timeline, value);
	return 0;
}

static int signal_narrow(struct fbk_timeline *timeline, uint64_t value)
{
	uint64_t reached;
	int r = narrow_raise(timeline, value, &reached);
	if (r == 0 || r == -EALREADY) {
		signal_told(timeline, reached); /* a device may have stored it */
	}
	return r;
}

static int signal_by_request(struct fbk_timeline *timeline, uint64_t value)
{
	REQUEST(request, TIMELINE_SIGNAL, timeline_signal, .handle = timeline->handle,
		.value = value);
	return request_do(timeline->context, &request);
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

/* What signal_told() looks at: later loads wait for the exchange, which is a full fence, and so would their
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
	/* What nearly every signal is; the rest, and every error, is sorted out apart. */
	if (timeline->writes && *timeline->ours && value - 1 < FBK_POINT_MAX) {
		/* relaxed: a guess. Kept apart from the payload, so that a signal does not have to
		 * fetch the waiter's cache line twice. */
		uint64_t expected = atomic_load_explicit(&timeline->last, memory_order_relaxed);
		signal_prefetch(timeline);
		if (expected < value && payload_raise(timeline, &expected, value)) {
			timeline_remember(timeline, value);
			signal_told(timeline, value);
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
