// SPDX-License-Identifier: MIT
#include "watch-arm.h"

#include <errno.h>
#include <stdlib.h>

#include "context.h"
#include "error.h"
#include "pair-wait.h"
#include "point.h"
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
static struct arming watch_arming(const struct watch *watch)
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
		return error_lost();
	}
	return 0;
}

/* Make it known, in the state that its point was in before. True: it is decided, or its cell will wake it.
 * Under the mutex. */
static bool watch_start(struct watch *watch, int state)
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

int watch_new(struct fbk_point point, uint64_t deadline_ns, fbk_point_fn *fn, void *arg,
	      struct watch **ret_watch)
{
	int r = watch_check(point);
	if (r < 0) {
		return r;
	}
	struct watch *watch = watch_alloc(&(struct callback){ NULL, fn, arg });
	if (!watch) {
		return error_plain(-ENOMEM);
	}
	watch->point = point;
	watch->deadline_ns = deadline_ns;
	*ret_watch = watch;
	return 0;
}

void watch_begin(struct watch *watch, uint64_t *ret_number)
{
	struct fbk_timeline *timeline = watch->point.timeline;
	struct fbk_context *context = timeline->context;
	int state = point_look(watch->point);
	pthread_mutex_lock(&context->mutex);
	bool started = watch_start(watch, state);
	struct arming arming = watch_arming(watch);
	*ret_number = arming.number;
	bool join = !started && uring_possible(context);
	timeline_ref(timeline);
	pthread_mutex_unlock(&context->mutex); /* from here on it may fire, and `fn` close it */
	if (join) {
		pair_join(timeline); /* for the next time */
	}
	int r = started ? 0 : watch_arm(context, &arming);
	pthread_mutex_lock(&context->mutex);
	if (r < 0) {
		watch_refuse(context, arming.number, r, fbk_error_detail());
	}
	timeline_unref(timeline);
	pthread_mutex_unlock(&context->mutex);
}

int watch_point(const void *owner, struct fbk_point point, fbk_point_fn *fn, void *arg,
		uint64_t *ret_number)
{
	struct watch *watch;
	int r = watch_new(point, FBK_DEADLINE_MAX, fn, arg, &watch);
	if (r == 0) {
		watch->owner = owner;
		watch_begin(watch, ret_number);
	}
	return r;
}

int watch_soon(struct fbk_context *context, const struct callback *callback, uint64_t *ret_number)
{
	struct watch *watch = watch_alloc(callback);
	if (!watch) {
		return error_plain(-ENOMEM);
	}
	pthread_mutex_lock(&context->mutex);
	watch_enlist(context, watch);
	*ret_number = watch->number;
	watch_queue(context, watch, 0);
	pthread_mutex_unlock(&context->mutex);
	return 0;
}

uint64_t watch_number(struct fbk_context *context)
{
	return ++context->watches->last_number;
}

bool watch_pending(struct fbk_context *context, uint64_t number)
{
	pthread_mutex_lock(&context->mutex);
	bool pending = number && watch_find(context, number);
	pthread_mutex_unlock(&context->mutex);
	return pending;
}

/* Under the mutex; true: the daemon has to hear of it. */
static bool watch_take_off(struct fbk_context *context, struct watch *watch)
{
	bool there = watch_armed(watch) && watch->place == WATCH_AT_DAEMON;
	watch_free(context, watch);
	return there;
}

static void watch_send_cancel(struct fbk_context *context, uint64_t number)
{
	ERRORS_KEPT();
	/* If it fired meanwhile, the daemon finds none. */
	REQUEST(request, WATCH_CANCEL, watch_cancel, .watch = number);
	request_quiet_end(context, &request);
}

void watch_end(struct fbk_context *context, uint64_t *number)
{
	if (*number == 0) {
		return;
	}
	pthread_mutex_lock(&context->mutex);
	struct watch *watch = watch_find(context, *number);
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
	struct watch *watch;
	while ((watch = TAILQ_FIRST(&context->watches->unsent))) {
		struct arming arming = watch_arming(watch);
		TAILQ_REMOVE(&context->watches->unsent, watch, unsent_links);
		watch->place = WATCH_AT_DAEMON;
		pthread_mutex_unlock(&context->mutex);
		int r = watch_arm(context, &arming);
		pthread_mutex_lock(&context->mutex);
		if (r < 0) { /* nothing, if it was cancelled meanwhile */
			watch_refuse(context, arming.number, r, fbk_error_detail());
		}
	}
}
