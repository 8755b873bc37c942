// SPDX-License-Identifier: MIT
/*
 * Waiting, the universal path: spin shortly; then arm the cells that the daemon watches, ring it,
 * look once more, and sleep on the cells' sequence words. After any wake start over.
 */
#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "context.h"
#include "crowd.h"
#include "error.h"
#include "guard.h"
#include "pair-wait.h"
#include "point-error.h"
#include "point.h"
#include "proto/mutant.h"
#include "spin.h"
#include "timeline.h"

#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif

#define SLEEP_WORDS_MAX  127 /* futex_waitv takes 128 */
#define SPIN_CLOCK_EVERY 32  /* looks between two looks at the clock */

static inline void cpu_relax(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}

/* --------------------------------------------------------------------------------- looking -- */

struct wait {
	const struct fbk_point *points;
	size_t count;
	bool all;
	size_t index; /* what decided it, or the first that is missing */
	bool ran;     /* the points were looked at */
};

/* -EAGAIN, or what the wait returns. */
static int wait_look(struct wait *wait)
{
	bool missing = false;
	for (size_t i = 0; i < wait->count; i++) {
		const struct fbk_point *point = &wait->points[i];
		int r = point->timeline ? timeline_check(point->timeline, point->value) : 0;
		if (r == -EAGAIN) {
			if (!missing) {
				wait->index = i;
			}
			missing = true; /* a later one may be reached, or have failed */
		} else if (r < 0 || !wait->all) {
			wait->index = i;
			return r;
		}
	}
	return missing ? -EAGAIN : 0;
}

/* Once more, for what was decided before that error. */
static int wait_undecided(struct wait *wait, int error)
{
	int r = wait_look(wait);
	return r != -EAGAIN ? r : error;
}

static int wait_spin(struct wait *wait, uint64_t now, uint64_t spin_ns, uint64_t deadline)
{
	/* Of several the first that is missing stands for all. */
	struct spin *spin = &wait->points[wait->index].timeline->spin;
	/* A shadow moves only when the daemon looks. */
	bool still = wait->points[wait->index].timeline->shadow;
	uint64_t budget_ns = still ? 0 : spin_budget(spin, spin_ns);
	uint64_t end = now + budget_ns < deadline ? now + budget_ns : deadline;
	uint64_t began = now;
	int r = -EAGAIN;
	if (budget_ns == 0) {
		return r;
	}
	while (r == -EAGAIN && now < end) {
		for (size_t looks = 0; r == -EAGAIN && looks < SPIN_CLOCK_EVERY;
		     looks += wait->count) {
			cpu_relax();
			r = wait_look(wait);
		}
		if (r == -EAGAIN) { /* the clock may take longer than what is waited for */
			now = now_ns();
		}
	}
	spin_learn(spin, budget_ns, now - began, r != -EAGAIN);
	return r;
}

/* --------------------------------------------------------------------------------- sleeping -- */

struct sleeper {
	struct fbk_timeline *timelines[SLEEP_WORDS_MAX];
	struct fbk_pair_cell *cells[SLEEP_WORDS_MAX];
	struct crowd *crowds[SLEEP_WORDS_MAX];
	uint32_t sequences[SLEEP_WORDS_MAX];
	size_t count;
	bool any; /* on cell 0, which is bumped with every other */
	uint32_t any_sequence;
};

/* For each point that is missing: its sequence, then its minimum; then (by the caller) all points
 * once more. */
static void sleeper_arm(struct sleeper *sleeper, const struct wait *wait,
			struct fbk_context *context, const struct span *span)
{
	struct fbk_pair_cell *cell = context_cell(context, 0);
	sleeper->count = 0;
	if (sleeper->any) {
		/* acquire: the sequence before anything is looked at again */
		sleeper->any_sequence = atomic_load_explicit(&cell->sequence, memory_order_acquire);
		/* seq_cst: asks to be bumped at every wake, before the minima below */
		atomic_store_explicit(&cell->minimum, 0, memory_order_seq_cst);
	}
	for (size_t i = 0; i < wait->count; i++) {
		struct fbk_timeline *timeline = wait->points[i].timeline;
		uint64_t value = wait->points[i].value;
		if (!timeline || timeline_check(timeline, value) != -EAGAIN) {
			continue;
		}
		struct fbk_pair_cell *place = timeline->cell;
		if (!sleeper->any) {
			place = pair_cell(timeline, &sleeper->sequences[sleeper->count]);
			sleeper->cells[sleeper->count] = place;
			sleeper->crowds[sleeper->count] =
				&timeline->crowds[place != timeline->cell];
			sleeper->timelines[sleeper->count++] = timeline;
		}
		pair_cell_arm(timeline, place, value, span);
	}
	/* The payloads are read again by the caller, with seq_cst loads: the minima are public before
	 * that (rule R3), also those that another thread of this process had lowered already. */
}

static long sleep_many(const struct sleeper *sleeper, const struct timespec *until)
{
	struct futex_waitv words[SLEEP_WORDS_MAX];
	for (size_t i = 0; i < sleeper->count; i++) {
		words[i] = (struct futex_waitv){
			.val = sleeper->sequences[i],
			.uaddr = (uint64_t)(uintptr_t)&sleeper->cells[i]->sequence,
			.flags = FUTEX_32,
		};
	}
	long r = syscall(SYS_futex_waitv, words, sleeper->count, 0, until, CLOCK_MONOTONIC);
	return r < 0 && errno != EAGAIN && errno != EINTR && errno != ETIMEDOUT ? -ENOSYS : 0;
}

/* The kernel lacks futex_waitv (before Linux 5.16), or a sandbox refuses it, by whatever errno. */
static _Atomic bool waitv_missing;

/* W5. 0, or -ENOSYS where futex_waitv is not there. */
static int sleeper_sleep(struct sleeper *sleeper, struct fbk_context *context, uint64_t deadline)
{
	struct timespec until = timespec_of(deadline);
	struct fbk_pair_cell *any = context_cell(context, 0);
	long r = 0;
	for (size_t i = 0; i < sleeper->count; i++) {
		/* relaxed: the futex orders it before the sleep */
		atomic_fetch_add_explicit(&sleeper->crowds[i]->sleepers, 1, memory_order_relaxed);
		if (MUTANT(SEQUENCE_LATE)) {
			/* acquire: as in pair_cell, but for the place */
			sleeper->sequences[i] = atomic_load_explicit(&sleeper->cells[i]->sequence,
								     memory_order_acquire);
		}
	}
	if (sleeper->any) {
		atomic_fetch_add_explicit(&context->any.sleepers, 1, memory_order_relaxed);
		crowd_sleep(any, sleeper->any_sequence, &until);
		atomic_fetch_sub_explicit(&context->any.sleepers, 1, memory_order_relaxed);
		crowd_wake(&context->any, any);
	} else if (sleeper->count == 1) {
		crowd_sleep(sleeper->cells[0], sleeper->sequences[0], &until);
	} else if (sleeper->count > 1) {
		r = sleep_many(sleeper, &until);
	}
	for (size_t i = 0; i < sleeper->count; i++) {
		atomic_fetch_sub_explicit(&sleeper->crowds[i]->sleepers, 1, memory_order_relaxed);
		crowd_wake(sleeper->crowds[i], sleeper->cells[i]);
	}
	return (int)r;
}

static int wait_sleep(struct wait *wait, struct fbk_context *context, uint64_t deadline)
{
	/* relaxed: who does not see it yet asks the kernel once more */
	bool missing = atomic_load_explicit(&waitv_missing, memory_order_relaxed);
	struct sleeper sleeper = { .any = wait->count > (missing ? 1 : SLEEP_WORDS_MAX) };
	int r = guard_start(context);
	if (r < 0) {
		wait->ran = false;
		return r;
	}
	for (;;) {
		/* Before the look: what was reached by the deadline is seen, however long this thread
		 * does not get the CPU. */
		struct span span = { now_ns(), deadline };
		bool late = span.now_ns >= deadline;
		sleeper_arm(&sleeper, wait, context, &span);
		/* W4 */
		r = MUTANT(WAIT_REREAD) && sleeper.count > 0 ? -EAGAIN : wait_look(wait);
		MUTANT_STRETCH();
		if (r != -EAGAIN) {
			return r;
		}
		if (context_lost(context)) {
			return wait_undecided(wait, -ENOTCONN);
		}
		if (late) {
			return -ETIMEDOUT;
		}
		if (context_flushing(context)) {
			return flushing_error();
		}
		for (size_t i = 0; i < sleeper.count; i++) {
			if (sleeper.cells[i] == sleeper.timelines[i]->cell) {
				pair_join(sleeper.timelines[i]); /* for the next time */
			}
		}
		if (sleeper_sleep(&sleeper, context, deadline) == -ENOSYS) {
			sleeper.any = true;
			/* relaxed: see above */
			atomic_store_explicit(&waitv_missing, true, memory_order_relaxed);
		}
	}
}

static int wait_context(const struct wait *wait, struct fbk_context **ret_context)
{
	struct fbk_context *context = NULL;
	for (size_t i = 0; i < wait->count; i++) {
		const struct fbk_timeline *timeline = wait->points[i].timeline;
		if (!timeline) {
			continue;
		}
		if (context && timeline->context != context) {
			return error_set(-EINVAL, "the points belong to different contexts");
		}
		context = timeline->context;
	}
	*ret_context = context;
	return context ? context_check(context) : 0;
}

static int wait_run(struct wait *wait, uint64_t deadline_ns)
{
	struct fbk_context *context = NULL;
	if (wait->count == 0) {
		return error_set(-EINVAL, "no points to wait for");
	}
	int r = wait_context(wait, &context);
	if (r < 0) {
		return r;
	}
	wait->ran = true;
	r = wait_look(wait);
	if (r != -EAGAIN) {
		return r;
	}
	uint64_t now = now_ns();
	if (deadline_ns <= now) { /* as in wait_sleep */
		return wait_undecided(wait, context_lost(context) ? -ENOTCONN : -ETIMEDOUT);
	}
	deadline_ns = deadline_bound(context, deadline_ns, now);
	struct spin *spin = &wait->points[wait->index].timeline->spin;
	r = wait_spin(wait, now, context->spin_ns, deadline_ns);
	if (r == -EAGAIN) {
		r = wait_sleep(wait, context, deadline_ns);
		spin_slept(spin, now_ns() - now);
	}
	return r;
}

/* What it ended with, for who asks. Errors of the call itself have their sentence, and no point. */
static int wait_explain(const struct wait *wait, int error)
{
	return error < 0 && wait->ran ? error_of_point(&wait->points[wait->index], error) : error;
}

int points_wait_any(const struct fbk_point *points, size_t count, uint64_t deadline_ns)
{
	struct wait wait = { .points = points, .count = count };
	return wait_run(&wait, deadline_ns);
}

int fbk_point_wait(struct fbk_point point, uint64_t deadline_ns)
{
	struct wait wait = { .points = &point, .count = 1 };
	return wait_explain(&wait, wait_run(&wait, deadline_ns));
}

int fbk_point_wait_any(const struct fbk_point *points, size_t count, uint64_t deadline_ns,
		       size_t *ret_index)
{
	struct wait wait = { .points = points, .count = count };
	int r = wait_explain(&wait, wait_run(&wait, deadline_ns));
	if (r != -ETIMEDOUT && r != -EINVAL && r != -EBADF && ret_index) {
		*ret_index = wait.index;
	}
	return r;
}

int fbk_point_wait_all(const struct fbk_point *points, size_t count, uint64_t deadline_ns,
		       size_t *ret_index)
{
	struct wait wait = { .points = points, .count = count, .all = true };
	int r = wait_explain(&wait, wait_run(&wait, deadline_ns));
	if (r < 0 && r != -EINVAL && r != -EBADF && ret_index) {
		*ret_index = wait.index;
	}
	return r;
}
