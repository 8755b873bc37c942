// SPDX-License-Identifier: MIT
/* Calling back what was watched, on the thread that dispatches. */
#include <errno.h>

#include "context.h"
#include "error.h"
#include "point-error.h"
#include "proto/fd.h"
#include "request.h"
#include "timeline.h"
#include "uring.h"
#include "watch-arm.h"
#include "watch-cell.h"
#include "watch.h"

#define CALLS_MAX 64 /* in one dispatch, so that a program's loop gets its turn */

/* Decide what can be: by the daemon's messages, by cells, by deadlines. Under the mutex. */
static void dispatch_collect(struct fbk_context *context)
{
	context->watches->collecting = true;
	if (!context->reading) {
		request_read(context);
	} /* else the thread that reads passes it on, and rouses us for it */
	if (!context_closed(context)) {
		event_clear(context->local);
	}
	uring_dispatch(context);
	watches_expire(context);
	context->watches->collecting = false;
	watches_send(context);
}

/* Call back one that fired: it is gone before `fn` runs; its timeline stays until after that. Under the mutex, but `fn`
 * is not. */
static void dispatch_call(struct fbk_context *context, struct watch *watch)
{
	struct fbk_point point = watch->point;
	fbk_point_fn *fn = watch->fn;
	void *arg = watch->arg;
	int result = watch->result;
	struct call call;
	if (watch->detail) {
		error_set(result, "%s", watch->detail);
	} else if (point.timeline) {
		error_of_point(&point, result);
	}
	call_begin(&context->calls, &call, watch->number, watch->owner);
	timeline_ref(point.timeline);
	watch_free(context, watch);
	pthread_mutex_unlock(&context->mutex);
	int before = cancelling_hold();
	fn(arg, point, result);
	cancelling_resume(before);
	pthread_mutex_lock(&context->mutex);
	timeline_unref(point.timeline);
	call_end(&context->calls, &call);
}

int fbk_dispatch(struct fbk_context *context)
{
	int count = 0;
	int r = context_check(context);
	if (r < 0) {
		return r;
	}
	pthread_mutex_lock(&context->mutex);
	dispatch_collect(context);
	struct watch_queue *fired = &context->watches->fired;
	while (count < CALLS_MAX && !TAILQ_EMPTY(fired)) {
		dispatch_call(context, TAILQ_FIRST(fired));
		count++;
	}
	if (!TAILQ_EMPTY(fired)) {
		context_rouse(context);
	}
	bool lost = context_closed(context);
	pthread_mutex_unlock(&context->mutex);
	if (count == 0 && lost) {
		return error_lost();
	}
	return count;
}
