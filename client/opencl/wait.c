// SPDX-License-Identifier: MIT
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "opencl.h"

/* Commands that wait for the event run, or on an error do not. */
static void wait_end(struct wait *wait, int result)
{
	clSetUserEventStatus(wait->event, result == 0 ? CL_COMPLETE : result);
	clReleaseEvent(wait->event);
	if (result < 0) {
		signals_look(wait->cl);
	}
	free(wait);
}

/* Under the mutex. */
static bool wait_take_off(struct wait *wait)
{
	bool pending = wait->pending;
	if (pending) {
		LIST_REMOVE(wait, links);
		wait->pending = false;
	}
	return pending;
}

static void wait_decided(void *arg, struct fbk_point point, int result)
{
	struct wait *wait = arg;
	(void)point;
	pthread_mutex_lock(&wait->cl->mutex);
	bool taken = wait_take_off(wait);
	pthread_mutex_unlock(&wait->cl->mutex);
	if (taken) { /* else it is being cancelled */
		fbk_watch_cancel(wait->watch);
		wait_end(wait, result);
	}
}

static int wait_create(struct fbk_cl *cl, struct fbk_point point, struct wait **ret_wait)
{
	cl_int result;
	struct wait *wait = calloc(1, sizeof(*wait));
	if (!wait) {
		return cl_error_set(-ENOMEM, "out of memory");
	}
	wait->cl = cl;
	wait->timeline = point.timeline;
	wait->event = clCreateUserEvent(cl->context, &result);
	if (result != CL_SUCCESS) {
		free(wait);
		return cl_error_result(result, "clCreateUserEvent");
	}
	*ret_wait = wait;
	return 0;
}

/* Under the mutex, so that the wait is complete before it can fire. */
static int wait_watch(struct wait *wait, struct fbk_point point, uint64_t deadline_ns)
{
	pthread_mutex_lock(&wait->cl->mutex);
	int r = fbk_point_watch(point, deadline_ns, wait_decided, wait, &wait->watch);
	if (r == 0) {
		LIST_INSERT_HEAD(&wait->cl->waits, wait, links);
		wait->pending = true;
	}
	pthread_mutex_unlock(&wait->cl->mutex);
	return r < 0 ? cl_error_core(r) : 0;
}

int fbk_cl_wait(struct fbk_cl *cl, struct fbk_point point, uint64_t deadline_ns,
		cl_event *ret_event)
{
	struct wait *wait = NULL;
	int reached = fbk_point_check(point);
	if (reached < 0 && reached != -EAGAIN) {
		return cl_error_set(reached, "point %llu failed already: %s",
				    (unsigned long long)point.value, strerrordesc_np(-reached));
	}
	int r = wait_create(cl, point, &wait);
	if (r < 0) {
		return r;
	}
	cl_event event = wait->event;
	clRetainEvent(event); /* one reference for the caller, one for the wait */
	if (reached == 0) {
		wait_end(wait, 0);
	} else if ((r = wait_watch(wait, point, deadline_ns)) < 0) {
		clReleaseEvent(event);
		wait_end(wait, r);
		return r;
	}
	*ret_event = event;
	return 0;
}

static struct wait *wait_take(struct fbk_cl *cl, const struct fbk_timeline *timeline)
{
	struct wait *wait;
	pthread_mutex_lock(&cl->mutex);
	LIST_FOREACH(wait, &cl->waits, links) {
		if (!timeline || wait->timeline == timeline) {
			wait_take_off(wait);
			break;
		}
	}
	pthread_mutex_unlock(&cl->mutex);
	return wait;
}

void fbk_cl_wait_cancel(struct fbk_cl *cl, const struct fbk_timeline *timeline)
{
	struct wait *wait;
	while ((wait = wait_take(cl, timeline))) {
		fbk_watch_cancel(wait->watch);
		wait_end(wait, -ECANCELED);
	}
}
