// SPDX-License-Identifier: MIT
#include "watch-arm.h"

#include <errno.h>
#include <stdlib.h>

#include "context.h"
#include "error.h"
#include "pair-wait.h"
#include "request.h"
#include "timeline.h"
#include "uring.h"
#include "watch-cell.h"
#include "watch.h"

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
		.deadline_ns = arming->deadline_ns, .watch = arming->number);
	/* Not waited for: if it is refused, the watch fires with the reason. */
	request.serial = WATCH_SERIAL | arming->number;
	return request_quiet(context, &request, NULL);
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

/* Why there can be no watch of that point; 0: there can. */
static int watch_check(struct fbk_point point)
{
	if (!point.timeline) {
		return error_set(-EINVAL,
				 "the signalled point belongs to no context: call back at once");
	}
	int r = context_check(point.timeline->context);
	if (r < 0) {
		return r;
	}
	if (point.value == 0 || point.value > FBK_POINT_MAX) {
		return error_set(-ERANGE, "%llu is not a point: points are 1 to 2^62 - 1",
				 (unsigned long long)point.value);
	}
	if (context_lost(point.timeline->context)) {
		return error_set(-ENOTCONN, "the daemon is gone");
	}
	return 0;
}

/* Make it known, in the state that its point was in before. True: it is decided, or its cell will wake it.
 * Under the mutex. */
static bool watch_start(struct fbk_watch *watch, int state)
{
	struct fbk_timeline *timeline = watch->point.timeline;
	bool on_cell = false;
	watch_enlist(timeline->context, watch);
	if (state == -EAGAIN) {
		heap_insert(&timeline->watches, &watch->armed, watch->point.value);
		on_cell = watch_on_cell(watch, &state);
	}
	if (state != -EAGAIN) {
		watch_queue(timeline->context, watch, state);
	}
	return on_cell || state != -EAGAIN;
}

/* `ret_number` may be NULL; it is set before fn may run, as `ret_watch` is. */
static int watch_make(struct fbk_point point, uint64_t deadline_ns, fbk_point_fn *fn, void *arg,
		      void (*drop)(void *arg), struct fbk_watch **ret_watch, uint64_t *ret_number)
{
	int r = watch_check(point);
	if (r < 0) {
		return r;
	}
	struct fbk_context *context = point.timeline->context;
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
	/* Before it may fire, in a dispatch on another thread, and be gone. */
	*ret_watch = watch;

	pthread_mutex_lock(&context->mutex);
	bool started = watch_start(watch, state);
	struct arming arming = watch_arming(watch);
	if (ret_number) {
		*ret_number = arming.number;
	}
	bool join = uring_possible(context);
	pthread_mutex_unlock(&context->mutex);
	if (started) {
		return 0;
	}
	if (join) {
		pair_join(point.timeline); /* for the next time */
	}
	r = watch_arm(context, &arming); /* may fire before this returns */
	return r < 0 ? watch_undo(context, arming.number, r) : 0;
}

int watch_create(struct fbk_point point, uint64_t deadline_ns, fbk_point_fn *fn, void *arg,
		 void (*drop)(void *arg), struct fbk_watch **ret_watch)
{
	return watch_make(point, deadline_ns, fn, arg, drop, ret_watch, NULL);
}

int watch_point(struct fbk_point point, fbk_point_fn *fn, void *arg, uint64_t *ret_number)
{
	struct fbk_watch *watch;
	return watch_make(point, FBK_DEADLINE_MAX, fn, arg, NULL, &watch, ret_number);
}

static int watch_make_soon(struct fbk_context *context, fbk_point_fn *fn, void *arg,
			   struct fbk_watch **ret_watch, uint64_t *ret_number)
{
	struct fbk_watch *watch = calloc(1, sizeof(*watch));
	if (!watch) {
		return error_plain(-ENOMEM);
	}
	watch->fn = fn;
	watch->arg = arg;
	pthread_mutex_lock(&context->mutex);
	watch_enlist(context, watch);
	if (ret_watch) {
		*ret_watch = watch;
	}
	if (ret_number) {
		*ret_number = watch->number;
	}
	watch_queue(context, watch, 0);
	pthread_mutex_unlock(&context->mutex);
	return 0;
}

int watch_soon(struct fbk_context *context, fbk_point_fn *fn, void *arg,
	       struct fbk_watch **ret_watch)
{
	return watch_make_soon(context, fn, arg, ret_watch, NULL);
}

int watch_dispatch(struct fbk_context *context, fbk_point_fn *fn, void *arg, uint64_t *ret_number)
{
	return watch_make_soon(context, fn, arg, NULL, ret_number);
}

bool watch_pending(struct fbk_context *context, uint64_t number)
{
	pthread_mutex_lock(&context->mutex);
	bool pending = number && watch_find(context, number);
	pthread_mutex_unlock(&context->mutex);
	return pending;
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

/* Under the mutex; true: the daemon has to hear of it. */
static bool watch_take_off(struct fbk_context *context, struct fbk_watch *watch)
{
	bool there = watch_armed(watch) && watch->place == WATCH_AT_DAEMON;
	watch_free(context, watch);
	return there;
}

static void watch_send_cancel(struct fbk_context *context, uint64_t number)
{
	/* If it fired meanwhile, the daemon finds none. */
	REQUEST(request, WATCH_CANCEL, watch_cancel, .watch = number);
	request_quiet_end(context, &request);
}

void watch_cancel(struct fbk_context *context, struct fbk_watch *watch)
{
	if (!watch) {
		return;
	}
	uint64_t number = watch->number;
	pthread_mutex_lock(&context->mutex);
	bool there = watch_take_off(context, watch);
	pthread_mutex_unlock(&context->mutex);
	if (there) {
		watch_send_cancel(context, number);
	}
}

void watch_end(struct fbk_context *context, uint64_t *number)
{
	if (*number == 0) {
		return;
	}
	pthread_mutex_lock(&context->mutex);
	struct fbk_watch *watch = watch_find(context, *number);
	bool there = watch && watch_take_off(context, watch);
	pthread_mutex_unlock(&context->mutex);
	if (there) {
		watch_send_cancel(context, *number);
	}
	*number = 0;
}

/* What can't be on a cell any more. The mutex is let go of meanwhile. */
void watches_send(struct fbk_context *context)
{
	struct fbk_watch *watch;
	while ((watch = TAILQ_FIRST(&context->watches->unsent))) {
		struct arming arming = watch_arming(watch);
		TAILQ_REMOVE(&context->watches->unsent, watch, unsent_links);
		watch->place = WATCH_AT_DAEMON;
		pthread_mutex_unlock(&context->mutex);
		int r = watch_arm(context, &arming);
		pthread_mutex_lock(&context->mutex);
		if (r < 0) {
			watch = watch_find(context, arming.number);
			if (watch) { /* else it was cancelled meanwhile */
				watch_queue(context, watch, r);
			}
		}
	}
}
