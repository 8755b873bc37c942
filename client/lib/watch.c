// SPDX-License-Identifier: MIT
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "pair.h"
#include "proto/container.h"
#include "request.h"
#include "uring.h"

static int watch_compare(const struct fbk_watch *a, const struct fbk_watch *b)
{
	return (a->number > b->number) - (a->number < b->number);
}

RB_GENERATE_INTERNAL(watch_tree, fbk_watch, node, watch_compare, static inline)

static struct fbk_watch *watch_find(struct fbk_context *context, uint64_t number)
{
	struct fbk_watch key = { .number = number };
	return RB_FIND(watch_tree, &context->watches_by_number, &key);
}

static bool watch_armed(const struct fbk_watch *watch)
{
	return watch->point.timeline &&
	       heap_node_linked(&watch->point.timeline->watches, &watch->armed);
}

static void watch_disarm(struct fbk_watch *watch)
{
	if (!watch_armed(watch)) {
		return;
	}
	heap_remove(&watch->point.timeline->watches, &watch->armed);
	if (watch->place == WATCH_ON_CELL) {
		watch_leave_cell(watch);
	} else if (watch->place == WATCH_TO_DAEMON) {
		TAILQ_REMOVE(&watch->point.timeline->context->unsent, watch, unsent_links);
	}
}

static void watch_decide(struct fbk_context *context, struct fbk_watch *watch, int result)
{
	watch_disarm(watch);
	watch->fired = true;
	watch->result = result;
	TAILQ_INSERT_TAIL(&context->fired, watch, fired_links);
}

/* The daemon may come to this one before it comes to others of the same timeline, which were armed
 * later. Where it was reached, so were those below it: they come first. */
void watch_queue(struct fbk_context *context, struct fbk_watch *watch, int result)
{
	const struct fbk_timeline *timeline = watch->point.timeline;
	const struct heap_node *node;
	if (watch->fired) {
		return;
	}
	bool rouse = TAILQ_EMPTY(&context->fired) && !context->collecting;
	while (result == 0 && timeline && (node = heap_min(&timeline->watches)) &&
	       node->key < watch->point.value) {
		watch_decide(context, container_of(node, struct fbk_watch, armed), 0);
	}
	watch_decide(context, watch, result);
	if (rouse) { /* else it is roused already, or takes them off right now */
		context_rouse(context);
	}
}

void watch_fired(struct fbk_context *context, uint64_t number, int result)
{
	struct fbk_watch *watch = watch_find(context, number);
	if (watch) { /* else it was cancelled while this was on the way */
		watch_queue(context, watch, result);
	}
}

void watch_refused(struct fbk_context *context, uint64_t number, int error, const char *detail)
{
	struct fbk_watch *watch = watch_find(context, number);
	if (watch && !watch->fired) {
		watch->detail = strdup(detail); /* without it in the worst case */
		watch_queue(context, watch, error);
	}
}

void watches_lost(struct fbk_context *context)
{
	struct fbk_watch *watch;
	LIST_FOREACH(watch, &context->watches, links) {
		/* What is reached stays reached, whoever is gone. */
		int r = timeline_check(watch->point.timeline, watch->point.value);
		watch_queue(context, watch, r == -EAGAIN ? -ENOTCONN : r);
	}
}

static void watch_free(struct fbk_context *context, struct fbk_watch *watch)
{
	LIST_REMOVE(watch, links);
	watch_disarm(watch);
	RB_REMOVE(watch_tree, &context->watches_by_number, watch);
	if (watch->fired) {
		TAILQ_REMOVE(&context->fired, watch, fired_links);
	}
	if (watch->drop) {
		watch->drop(watch->arg);
	}
	free(watch->detail);
	free(watch);
}

void watches_drop_timeline(struct fbk_timeline *timeline)
{
	struct fbk_context *context = timeline->context;
	struct fbk_watch *watch, *next;
	LIST_FOREACH_SAFE(watch, &context->watches, links, next) {
		if (watch->point.timeline == timeline) {
			watch_free(context, watch);
		}
	}
	if (timeline->nap) {
		uring_forget(timeline->nap);
	}
}

void watches_free(struct fbk_context *context)
{
	while (!LIST_EMPTY(&context->watches)) {
		watch_free(context, LIST_FIRST(&context->watches));
	}
}

/* By value: once it is known to the context, the watch may fire on another thread and be gone. */
struct arming {
	uint64_t number, value, deadline_ns;
	uint32_t handle;
};

/* Under the mutex. */
static struct arming watch_arming(const struct fbk_watch *watch)
{
	return (struct arming){ watch->number, watch->point.value, watch->deadline_ns,
				watch->point.timeline->handle };
}

static int watch_arm(struct fbk_context *context, const struct arming *arming)
{
	REQUEST(request, POINT_WATCH, point_watch, .handle = arming->handle, .value = arming->value,
		.deadline_ns = arming->deadline_ns, .watch = arming->number, .quiet = true);
	/* Not waited for: if it is refused, the watch fires with the reason. */
	request.serial = WATCH_SERIAL | arming->number;
	return request_send(context, &request);
}

/* It was not sent: as if it had never been, unless it fires for another reason. */
static int watch_undo(struct fbk_context *context, uint64_t number, int error)
{
	pthread_mutex_lock(&context->mutex);
	struct fbk_watch *watch = watch_find(context, number);
	bool undone = watch && !watch->fired;
	if (undone) {
		watch->drop = NULL; /* the caller's, still */
		watch_free(context, watch);
	}
	pthread_mutex_unlock(&context->mutex);
	return undone ? error : 0;
}

/* It gets a number, and is the context's from then on. Under the mutex. */
static void watch_enlist(struct fbk_context *context, struct fbk_watch *watch)
{
	watch->number = ++context->next_watch;
	RB_INSERT(watch_tree, &context->watches_by_number, watch);
	LIST_INSERT_HEAD(&context->watches, watch, links);
}

int watch_create(struct fbk_point point, uint64_t deadline_ns, fbk_point_fn *fn, void *arg,
		 void (*drop)(void *arg), struct fbk_watch **ret_watch)
{
	if (!point.timeline) {
		return error_set(-EINVAL,
				 "the signalled point belongs to no context: call back at once");
	}
	struct fbk_context *context = point.timeline->context;
	int r = context_check(context);
	if (r < 0) {
		return r;
	}
	if (point.value == 0 || point.value > FBK_POINT_MAX) {
		return error_set(-ERANGE, "%llu is not a point: points are 1 to 2^62 - 1",
				 (unsigned long long)point.value);
	}
	if (context_lost(context)) {
		return error_set(-ENOTCONN, "the daemon is gone");
	}
	struct fbk_watch *watch = calloc(1, sizeof(*watch));
	if (!watch) {
		return error_plain(-ENOMEM);
	}
	watch->point = point;
	watch->deadline_ns = deadline_ns;
	watch->fn = fn;
	watch->arg = arg;
	watch->drop = drop;
	int state = fbk_point_check(point);
	bool on_cell = false;
	/* Before it may fire, in a dispatch on another thread, and be gone. */
	*ret_watch = watch;

	pthread_mutex_lock(&context->mutex);
	watch_enlist(context, watch);
	if (state == -EAGAIN) {
		heap_insert(&point.timeline->watches, &watch->armed, point.value);
		on_cell = watch_on_cell(watch, &state);
	}
	if (state != -EAGAIN) {
		watch_queue(context, watch, state);
	}
	struct arming arming = watch_arming(watch);
	bool join = uring_possible(context);
	pthread_mutex_unlock(&context->mutex);
	if (state != -EAGAIN || on_cell) {
		return 0;
	}
	if (join) {
		pair_join(point.timeline); /* for the next time */
	}
	r = watch_arm(context, &arming); /* may fire before this returns */
	return r < 0 ? watch_undo(context, arming.number, r) : 0;
}

int watch_soon(struct fbk_context *context, fbk_point_fn *fn, void *arg,
	       struct fbk_watch **ret_watch)
{
	struct fbk_watch *watch = calloc(1, sizeof(*watch));
	if (!watch) {
		return error_plain(-ENOMEM);
	}
	watch->fn = fn;
	watch->arg = arg;
	pthread_mutex_lock(&context->mutex);
	watch_enlist(context, watch);
	*ret_watch = watch;
	watch_queue(context, watch, 0);
	pthread_mutex_unlock(&context->mutex);
	return 0;
}

int fbk_point_watch(struct fbk_point point, uint64_t deadline_ns, fbk_point_fn *fn, void *arg,
		    struct fbk_watch **ret_watch)
{
	struct fbk_watch *watch;
	int r = watch_create(point, deadline_ns, fn, arg, NULL, &watch);
	if (r == 0 && ret_watch) {
		*ret_watch = watch;
	}
	return r;
}

void fbk_watch_cancel(struct fbk_watch *watch)
{
	if (watch) {
		watch_cancel(watch->point.timeline->context, watch);
	}
}

void watch_cancel(struct fbk_context *context, struct fbk_watch *watch)
{
	if (!watch) {
		return;
	}
	/* quiet: if it fired meanwhile, the daemon finds none */
	REQUEST(request, WATCH_CANCEL, watch_cancel, .watch = watch->number, .quiet = true);
	request.serial = WATCH_SERIAL | watch->number;

	pthread_mutex_lock(&context->mutex);
	bool there = watch_armed(watch) && watch->place == WATCH_AT_DAEMON;
	watch_free(context, watch);
	pthread_mutex_unlock(&context->mutex);
	if (there) {
		request_send(context, &request);
	}
}

/* What can't be on a cell any more. The mutex is let go of meanwhile. */
static void watches_send(struct fbk_context *context)
{
	struct fbk_watch *watch;
	while ((watch = TAILQ_FIRST(&context->unsent))) {
		struct arming arming = watch_arming(watch);
		TAILQ_REMOVE(&context->unsent, watch, unsent_links);
		watch->place = WATCH_AT_DAEMON;
		pthread_mutex_unlock(&context->mutex);
		int r = watch_arm(context, &arming);
		pthread_mutex_lock(&context->mutex);
		if (r < 0) {
			watch_fired(context, arming.number, r);
		}
	}
}

int fbk_dispatch(struct fbk_context *context)
{
	int count = 0;
	int r = context_check(context);
	if (r < 0) {
		return r;
	}
	pthread_mutex_lock(&context->mutex);
	context->collecting = true;
	if (!context->reading) {
		request_read(context);
	} /* else that thread passes on what it reads, and rouses us for it */
	if (!context_lost(context)) {
		eventfd_t value;
		eventfd_read(context->local, &value);
	}
	uring_dispatch(context);
	watches_expire(context);
	context->collecting = false;
	watches_send(context);
	while (!TAILQ_EMPTY(&context->fired)) {
		struct fbk_watch *watch = TAILQ_FIRST(&context->fired);
		struct fbk_point point = watch->point;
		fbk_point_fn *fn = watch->fn;
		void *arg = watch->arg;
		int result = watch->result;
		if (watch->detail) {
			error_set(result, "%s", watch->detail);
		}
		watch->drop = NULL;
		watch_free(context, watch);
		pthread_mutex_unlock(&context->mutex);
		fn(arg, point, result);
		count++;
		pthread_mutex_lock(&context->mutex);
	}
	bool lost = context_lost(context);
	pthread_mutex_unlock(&context->mutex);
	if (count == 0 && lost) {
		return error_set(-ENOTCONN, "the daemon is gone");
	}
	return count;
}
