// SPDX-License-Identifier: MIT
/*
 * Watches that the signaler wakes by itself, by the cell that blocking waits sleep on too (pair-wait.h): the
 * daemon does not know of them. The steps are those of a wait, W1 to W5, but that one nap is slept for all
 * watches of a timeline. A watch that comes while it is slept only lowers the minimum and looks at the payload
 * again: a bump after that ends the nap. When it is over, all of them are looked at, and the rest begins anew: in
 * the dispatch that collects it, or when another watch comes before that.
 */
#include "watch-cell.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "clock.h"
#include "context.h"
#include "pair-wait.h"
#include "point.h"
#include "proto/container.h"
#include "proto/fd.h"
#include "proto/mutant.h"
#include "timeline.h"
#include "uring.h"
#include "watch.h"

static void watches_woken(struct fbk_timeline *timeline);

/* W1 to W3, with W5 before W3: it is no sleep when a bump was missed, and a signaler that finds the minimum low
 * finds a sleeper. */
static bool cell_watch(struct fbk_timeline *timeline, const struct watch *first)
{
	uint32_t sequence;
	struct fbk_pair_cell *cell = pair_cell(timeline, &sequence);
	if (cell == timeline->cell) {
		return false; /* only the daemon bumps that */
	}
	if (!timeline->nap) {
		timeline->nap = uring_nap(timeline, cell, sequence, watches_woken);
		if (!timeline->nap) {
			return false;
		}
		/* relaxed: the kernel orders it before the sleep */
		atomic_fetch_add_explicit(&timeline->crowds[1].sleepers, 1, memory_order_relaxed);
	}
	struct span span = { now_ns(), first->deadline_ns };
	pair_cell_arm(timeline, cell, first->point.value, &span);
	return true;
}

/* W4 */
static int cell_look(const struct watch *watch)
{
	MUTANT_STRETCH();
	return MUTANT(NAP_REREAD) ? -EAGAIN
				  : timeline_check(watch->point.timeline, watch->point.value);
}

/* ---------------------------------------------------------------------------------- deadlines -- */

static bool timer_open(struct fbk_context *context)
{
	struct epoll_event event = { .events = EPOLLIN };
	if (context->watches->timer >= 0) {
		return true;
	}
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (fd >= 0 && epoll_ctl(context->epoll, EPOLL_CTL_ADD, fd, &event) < 0) {
		fd_close(fd);
		fd = -1;
	}
	context->watches->timer = fd;
	return fd >= 0;
}

/* Which also takes back that it went off. */
static void timer_arm(struct fbk_context *context, uint64_t deadline_ns)
{
	/* 0 would stop it */
	struct itimerspec at = { .it_value = timespec_of(deadline_ns > 0 ? deadline_ns : 1) };
	timerfd_settime(context->watches->timer, TFD_TIMER_ABSTIME, &at, NULL);
	context->watches->timer_ns = deadline_ns;
}

/* It may go off too early: whose deadline it was may be gone. */
void watches_expire(struct fbk_context *context)
{
	struct heap_node *node;
	uint64_t now = context->watches->timer_ns == UINT64_MAX ? 0 : now_ns();
	if (now < context->watches->timer_ns) {
		return;
	}
	while ((node = heap_min(&context->watches->expiries)) && node->key <= now) {
		struct watch *watch = container_of(node, struct watch, expiry);
		int r = timeline_check(watch->point.timeline, watch->point.value);
		watch_queue(context, watch, r == -EAGAIN ? -ETIMEDOUT : r);
	}
	timer_arm(context, node ? node->key : UINT64_MAX);
}

/* ------------------------------------------------------------------------------------ watches -- */

/* All those that are decided: the first that is not, or NULL. */
static struct watch *watches_look(struct fbk_timeline *timeline)
{
	struct heap_node *node;
	while ((node = heap_min(&timeline->watches))) {
		struct watch *watch = container_of(node, struct watch, armed);
		int r = timeline_check(timeline, node->key);
		if (r == -EAGAIN) {
			return watch;
		}
		watch_queue(timeline->context, watch, r);
	}
	return NULL;
}

/* Queue those that are decided; arm the cell again for the rest. */
static void watches_continue(struct fbk_timeline *timeline)
{
	struct watch *first;
	while ((first = watches_look(timeline)) && timeline->cell_watches > 0) {
		if (!cell_watch(timeline, first)) {
			watches_leave_cell(
				timeline); /* no signaler bumps it any more, or there are no naps */
			return;
		}
		if (cell_look(first) == -EAGAIN) {
			return;
		}
	}
}

static void nap_left(struct fbk_timeline *timeline)
{
	struct crowd *crowd = &timeline->crowds[1];
	/* relaxed: as in wait.c */
	atomic_fetch_sub_explicit(&crowd->sleepers, 1, memory_order_relaxed);
	crowd_wake(crowd, atomic_load_explicit(&timeline->peer, memory_order_relaxed));
}

static void watches_woken(struct fbk_timeline *timeline)
{
	nap_left(timeline);
	watches_continue(timeline);
}

/* Else the minimum would be low without a sleeper: a signaler that bumps in vain too often drops the cell. */
static bool nap_end_early(struct fbk_timeline *timeline)
{
	uint32_t sequence;
	struct fbk_pair_cell *cell = pair_cell(timeline, &sequence);
	if (!timeline->nap || cell == timeline->cell || !uring_nap_ended(timeline->nap, sequence)) {
		return false;
	}
	uring_forget(timeline->nap);
	timeline->nap = NULL;
	nap_left(timeline);
	return true;
}

bool watch_on_cell(struct watch *watch, int *ret_state)
{
	struct fbk_timeline *timeline = watch->point.timeline;
	struct fbk_context *context = timeline->context;
	watch->deadline_ns = deadline_bound(context, watch->deadline_ns, now_ns());
	bool ended = nap_end_early(timeline);
	/* In this order: no timer is opened for those that the daemon wakes. */
	bool on_cell = cell_watch(timeline, watch) && timer_open(context);
	if (on_cell) {
		watch->place = WATCH_ON_CELL;
		timeline->cell_watches++;
		heap_insert(&context->watches->expiries, &watch->expiry, watch->deadline_ns);
		if (watch->deadline_ns < context->watches->timer_ns) {
			timer_arm(context, watch->deadline_ns);
		}
	}
	if (ended) {
		watches_continue(timeline); /* the others */
	}
	if (on_cell && watch->place == WATCH_ON_CELL) {
		*ret_state = cell_look(watch);
	}
	return on_cell;
}
