// SPDX-License-Identifier: MIT
/* Calling back what was watched, on the thread that dispatches. */
#include <errno.h>
#include <sys/eventfd.h>

#include "context.h"
#include "error.h"
#include "request.h"
#include "uring.h"
#include "watch-arm.h"
#include "watch-cell.h"
#include "watch.h"

/* Decide what can be: by the daemon's messages, by cells, by deadlines. Under the mutex. */
static void dispatch_collect(struct fbk_context *context)
{
	context->watches->collecting = true;
	if (!context->reading) {
		request_read(context);
	} /* else the thread that reads passes it on, and rouses us for it */
	if (!context_lost(context)) {
		eventfd_t value;
		eventfd_read(context->local, &value);
	}
	uring_dispatch(context);
	watches_expire(context);
	context->watches->collecting = false;
	watches_send(context);
}

/* Call back one that fired: it is gone before `fn` runs. Under the mutex, but `fn` is not. */
static void dispatch_call(struct fbk_context *context, struct fbk_watch *watch)
{
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
	pthread_mutex_lock(&context->mutex);
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
	while (!TAILQ_EMPTY(&context->watches->fired)) {
		dispatch_call(context, TAILQ_FIRST(&context->watches->fired));
		count++;
	}
	bool lost = context_lost(context);
	pthread_mutex_unlock(&context->mutex);
	if (count == 0 && lost) {
		return error_set(-ENOTCONN, "the daemon is gone");
	}
	return count;
}
