// SPDX-License-Identifier: MIT
#include "watch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "context.h"
#include "error.h"
#include "point.h"
#include "proto/container.h"
#include "proto/fd.h"
#include "proto/fencebroker.pb-c.h"
#include "timeline.h"

static int watch_compare(const struct watch *a, const struct watch *b)
{
	return (a->number > b->number) - (a->number < b->number);
}

RB_GENERATE_INTERNAL(watch_tree, watch, node, watch_compare, __attribute__((unused)) static)

struct watch *watch_find(struct fbk_context *context, uint64_t number)
{
	struct watch key = { .number = number };
	return RB_FIND(watch_tree, &context->watches->by_number, &key);
}

/* ----------------------------------------------------------------------------------- deciding -- */

bool watch_armed(const struct watch *watch)
{
	return watch->point.timeline &&
	       heap_node_linked(&watch->point.timeline->watches, &watch->armed);
}

/* The minimum may stay low. The time that the wait ends at is for inspection: it says that no wait is left, unless
 * threads sleep there. */
static void cell_leave(struct fbk_timeline *timeline)
{
	/* relaxed, all three: hints; the nap is one of the sleepers */
	if (atomic_load_explicit(&timeline->crowds[1].sleepers, memory_order_relaxed) <= 1) {
		struct fbk_pair_cell *cell =
			atomic_load_explicit(&timeline->peer, memory_order_relaxed);
		atomic_store_explicit(&cell->until_ns, 1, memory_order_relaxed); /* long over */
	}
}

static void watch_leave_cell(struct watch *watch)
{
	struct fbk_timeline *timeline = watch->point.timeline;
	heap_remove(&timeline->context->watches->expiries, &watch->expiry);
	if (--timeline->cell_watches == 0) {
		cell_leave(timeline);
	}
}

static void watch_disarm(struct watch *watch)
{
	if (!watch_armed(watch)) {
		return;
	}
	heap_remove(&watch->point.timeline->watches, &watch->armed);
	if (watch->place == WATCH_ON_CELL) {
		watch_leave_cell(watch);
	} else if (watch->place == WATCH_TO_DAEMON) {
		TAILQ_REMOVE(&watch->point.timeline->context->watches->unsent, watch, unsent_links);
	}
}

static void watch_unpark(struct fbk_context *context, struct watch *watch)
{
	if (watch->parked) {
		TAILQ_REMOVE(&context->watches->flushed, watch, unsent_links);
		watch->parked = false;
	}
}

void watch_park(struct fbk_context *context, struct watch *watch)
{
	watch->parked = true;
	TAILQ_INSERT_TAIL(&context->watches->flushed, watch, unsent_links);
}

static void watch_decide(struct fbk_context *context, struct watch *watch, int result)
{
	watch_disarm(watch);
	watch_unpark(context, watch);
	watch->fired = true;
	watch->result = result;
	TAILQ_INSERT_TAIL(&context->watches->fired, watch, fired_links);
}

/* The daemon may report this one before others of the same timeline that were armed later. Where its point was
 * reached, so were those below it: they are called first. */
void watch_queue(struct fbk_context *context, struct watch *watch, int result)
{
	const struct fbk_timeline *timeline = watch->point.timeline;
	const struct heap_node *node;
	if (watch->fired) {
		return;
	}
	bool rouse = TAILQ_EMPTY(&context->watches->fired) && !context->watches->collecting;
	while (result == 0 && timeline && (node = heap_min(&timeline->watches)) &&
	       node->key < watch->point.value) {
		watch_decide(context, container_of(node, struct watch, armed), 0);
	}
	watch_decide(context, watch, result);
	if (rouse) { /* else it is readable already, or a dispatch takes them off right now */
		context_rouse(context);
	}
}

/* ------------------------------------------------------------------------- what the daemon says -- */

static void watch_fired(struct fbk_context *context, uint64_t number, int result)
{
	struct watch *watch = watch_find(context, number);
	if (watch) { /* else it was cancelled while this message was on its way */
		watch_queue(context, watch, result);
	}
}

void watch_refuse(struct fbk_context *context, uint64_t number, int error, const char *detail)
{
	struct watch *watch = watch_find(context, number);
	if (watch && !watch->fired) {
		watch->detail = strdup(detail); /* no memory: without it */
		watch_queue(context, watch, error);
	}
}

static void watches_event(struct fbk_context *context, const Fbk__Wire__Message *message)
{
	if (message->serial == 0 && message->body_case == FBK__WIRE__MESSAGE__BODY_WATCHES_FIRED) {
		const Fbk__Wire__WatchesFired *fired = message->watches_fired;
		for (size_t i = 0; i < fired->n_watch && i < fired->n_result; i++) {
			watch_fired(context, fired->watch[i], fired->result[i]);
		}
	}
	if (message->serial & WATCH_SERIAL && message->error < 0) {
		watch_refuse(context, message->serial & ~WATCH_SERIAL, message->error,
			     message->detail);
	}
}

static void watches_lost(struct child *child)
{
	struct watches *watches = container_of(child, struct watches, child);
	struct watch *watch;
	RB_FOREACH_REVERSE(watch, watch_tree, &watches->by_number)
	{
		/* What is reached stays reached without the daemon. */
		int r = watch->point.timeline
				? timeline_check(watch->point.timeline, watch->point.value)
				: -ENOTCONN;
		watch_queue(watches->context, watch, r == -EAGAIN ? -ENOTCONN : r);
	}
}

/* Flushing began or ended: those look again, which are parked anew if it goes on. */
static void watches_wake(struct child *child)
{
	struct watches *watches = container_of(child, struct watches, child);
	while (!TAILQ_EMPTY(&watches->flushed)) {
		watch_queue(watches->context, TAILQ_FIRST(&watches->flushed), 0);
	}
}

/* ------------------------------------------------------------------------------- the list of them -- */

void watch_free(struct fbk_context *context, struct watch *watch)
{
	child_remove(&watch->child);
	watch_disarm(watch);
	watch_unpark(context, watch);
	RB_REMOVE(watch_tree, &context->watches->by_number, watch);
	if (watch->fired) {
		TAILQ_REMOVE(&context->watches->fired, watch, fired_links);
	}
	timeline_unref(watch->point.timeline);
	free(watch->detail);
	free(watch);
}

/* The timeline closes. */
static void watch_drop(struct child *child)
{
	struct watch *watch = container_of(child, struct watch, child);
	int r = timeline_check(watch->point.timeline, watch->point.value);
	watch_queue(watch->point.timeline->context, watch, r == -EAGAIN ? -ECANCELED : r);
}

/* Of the timeline. */
static const struct child_ops watch_child = { .drop = watch_drop };

struct watch *watch_alloc(const struct callback *callback)
{
	struct watch *watch = calloc(1, sizeof(*watch));
	if (watch) {
		watch->fn = callback->fn;
		watch->arg = callback->arg;
		watch->owner = callback->owner;
	}
	return watch;
}

void watch_enlist(struct fbk_context *context, struct watch *watch)
{
	watch->number = ++context->watches->last_number;
	RB_INSERT(watch_tree, &context->watches->by_number, watch);
	if (watch->point.timeline) {
		timeline_ref(watch->point.timeline);
		child_add(&watch->point.timeline->children, &watch->child, &watch_child);
	}
}

void watches_leave_cell(struct fbk_timeline *timeline)
{
	struct fbk_context *context = timeline->context;
	struct child *child;
	LIST_FOREACH(child, &timeline->children, links) {
		struct watch *watch = container_of(child, struct watch, child);
		if (child->ops == &watch_child && !watch->fired && watch->place == WATCH_ON_CELL) {
			watch_leave_cell(watch);
			watch->place = WATCH_TO_DAEMON;
			TAILQ_INSERT_TAIL(&context->watches->unsent, watch, unsent_links);
		}
	}
	if (!context->watches->collecting) {
		context_rouse(context); /* the next dispatch sends them */
	}
}

static void watches_drop(struct child *child)
{
	struct watches *watches = container_of(child, struct watches, child);
	struct watch *watch;
	while ((watch = RB_ROOT(&watches->by_number))) {
		watch_free(watches->context, watch);
	}
	if (watches->timer >= 0) {
		fd_close(watches->timer);
	}
	free(watches);
}

static const struct child_ops watches_child = {
	.lost = watches_lost,
	.wake = watches_wake,
	.drop = watches_drop,
};

int watches_create(struct fbk_context *context)
{
	struct watches *watches = calloc(1, sizeof(*watches));
	if (!watches) {
		return error_plain(-ENOMEM);
	}
	watches->context = context;
	watches->timer = -1;
	watches->timer_ns = UINT64_MAX;
	RB_INIT(&watches->by_number);
	TAILQ_INIT(&watches->fired);
	TAILQ_INIT(&watches->unsent);
	TAILQ_INIT(&watches->flushed);
	context->watches = watches;
	context->event = watches_event;
	child_add(&context->children, &watches->child, &watches_child);
	return 0;
}
