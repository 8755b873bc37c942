// SPDX-License-Identifier: MIT
#include "brokered.h"

#include <errno.h>

#include "error.h"
#include "point-error.h"
#include "point.h"
#include "timeline.h"

static int give_check(const struct fbk_timeline *timeline, uint64_t value)
{
	if (value == 0 || value > FBK_POINT_MAX) {
		return error_set(-ERANGE, "%llu is not a point: points are 1 to 2^62 - 1",
				 (unsigned long long)value);
	}
	if (!(timeline->rights & FBK_RIGHT_SIGNAL)) {
		return error_set(-EPERM, "no right to signal timeline %s", timeline->name);
	}
	if (!(timeline->flags & FBK_TIMELINE_BROKERED)) {
		return error_set(-EINVAL,
				 "timeline %s is signalled in memory by its maker: only a brokered "
				 "one is signalled by the daemon",
				 timeline->name);
	}
	return context_check(timeline->context);
}

/* Under the mutex, so that what is given is sent in that order. */
static int order_check(struct fbk_timeline *timeline, uint64_t value)
{
	int r = timeline_check(timeline, FBK_POINT_MAX);
	if (r < 0 && r != -EAGAIN) {
		return error_of_signal(timeline, r);
	}
	if (timeline->follows > 0) {
		return error_set(-EBUSY, "%s follows a syncobj: it takes no other signals",
				 timeline->name);
	}
	/* relaxed: under the mutex */
	uint64_t given = atomic_load_explicit(&timeline->last, memory_order_relaxed);
	uint64_t reached = fbk_timeline_value(timeline);
	given = reached > given ? reached : given;
	return value > given ? 0
			     : error_set(-EALREADY, "%llu is not above %llu, the last point of %s",
					 (unsigned long long)value, (unsigned long long)given,
					 timeline->name);
}

/* relaxed: under the mutex */
static void given_set(struct fbk_timeline *timeline, uint64_t value)
{
	atomic_store_explicit(&timeline->last, value, memory_order_relaxed);
}

int brokered_give(struct fbk_timeline *timeline, uint64_t value, Fbk__Wire__Request *request,
		  const struct packet *packet)
{
	struct fbk_context *context = timeline->context;
	int r = give_check(timeline, value);
	if (r < 0) {
		return r;
	}
	pthread_mutex_lock(&context->mutex);
	r = order_check(timeline, value);
	if (r == 0) {
		r = request_quiet(context, request, packet);
	}
	if (r >= 0) {
		given_set(timeline, value);
	}
	pthread_mutex_unlock(&context->mutex);
	return r;
}

int brokered_give_answered(struct fbk_timeline *timeline, uint64_t value,
			   Fbk__Wire__Request *request, const struct packet *packet)
{
	struct fbk_context *context = timeline->context;
	int r = give_check(timeline, value);
	if (r < 0) {
		return r;
	}
	pthread_mutex_lock(&context->mutex);
	r = order_check(timeline, value);
	/* relaxed: under the mutex */
	uint64_t before = atomic_load_explicit(&timeline->last, memory_order_relaxed);
	if (r == 0) {
		given_set(timeline, value);
	}
	pthread_mutex_unlock(&context->mutex);
	if (r == 0) {
		r = request_do_fds(context, request, packet->fds, packet->fd_count);
		pthread_mutex_lock(&context->mutex);
		if (r < 0 && r != -ETIMEDOUT &&
		    atomic_load_explicit(&timeline->last, memory_order_relaxed) == value) {
			given_set(timeline, before); /* it may be tried again */
		}
		pthread_mutex_unlock(&context->mutex);
	}
	return r;
}
