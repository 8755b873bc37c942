// SPDX-License-Identifier: MIT
#include "point.h"

#include <errno.h>

#include "bell.h"
#include "context.h"
#include "error.h"
#include "narrow.h"
#include "point-error.h"
#include "timeline.h"

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
	/* relaxed, both: after an acquire load of the status that was `failed` */
	int error = atomic_load_explicit(&timeline->control->error, memory_order_relaxed);
	uint32_t cause = atomic_load_explicit(&timeline->control->cause, memory_order_relaxed);
	if (error >= 0) {
		return -EIO;
	}
	return cause == FBK_CAUSE_DAEMON_LOST ? error : error_foreign(error);
}

int timeline_check(const struct fbk_timeline *timeline, uint64_t value)
{
	/* seq_cst: as an acquire, what was written before the signal is visible, and the status is
	 * loaded after, so that poison is never seen without a status of at least `failing`. Beyond
	 * that, after the minimum of a cell was lowered, that is seen by the signaler, or its signal
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
		return 0; /* also while it is failing: an eventfd may have fired for it already */
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
	if (__builtin_expect(status != FBK_STATUS_OK,
			     0)) { /* by a jump: cheaper than to add up conditions */
		return false;
	}
	return payload >= value && payload < FBK_POISON;
}

static inline bool point_reached_at_once(struct fbk_point point)
{
	const struct fbk_timeline *timeline = point.timeline;
	return !timeline || (*timeline->ours && point_reached(timeline, point.value));
}

static int point_look_slowly(struct fbk_point point)
{
	if (!*point.timeline->ours) {
		return -EBADF;
	}
	int r = timeline_check(point.timeline, point.value);
	if (r == -EAGAIN && point.timeline->shadow) {
		bell_ring(point.timeline->context,
			  point.timeline->handle); /* let the daemon look */
	}
	if (r == -EAGAIN && context_lost(point.timeline->context)) {
		r = timeline_check(point.timeline,
				   point.value); /* it may have been decided before that */
		return r == -EAGAIN ? -ENOTCONN : r;
	}
	return r;
}

int point_look(struct fbk_point point)
{
	return point_reached_at_once(point) ? 0 : point_look_slowly(point);
}

/* Apart, so that the check before needs no stack. */
static __attribute__((noinline)) int point_check_slowly(struct fbk_point point)
{
	int r = point_look_slowly(point);
	return r == 0 || r == -EAGAIN ? r : error_of_point(&point, r);
}

int fbk_point_check(struct fbk_point point)
{
	return point_reached_at_once(point) ? 0 : point_check_slowly(point);
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
