// SPDX-License-Identifier: MIT
#include "loop.h"

#include <errno.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "clock.h"
#include "log.h"

#define WHEEL_BUDGET       256 /* deadlines per turn; the others wait for the next turn */
#define CALLBACKS_PER_TURN 64  /* then the loop looks for new events */

/* ------------------------------------------------------------------------------- deadlines --- */

static void loop_set_timer(struct loop *loop, uint64_t when_ns)
{
	/* 0 would stop the timer; 1 is past and expires at once */
	uint64_t at = when_ns == UINT64_MAX ? 0 : when_ns == 0 ? 1 : when_ns;
	struct itimerspec time = { .it_value = { .tv_sec = (time_t)(at / NS_PER_S),
						 .tv_nsec = (long)(at % NS_PER_S) } };
	timerfd_settime(loop->timer, TFD_TIMER_ABSTIME, &time, NULL);
	loop->timer_ns = when_ns;
}

static void loop_set_timer_earlier(struct loop *loop)
{
	uint64_t next = wheel_next(&loop->wheel);
	if (next < loop->timer_ns) {
		loop_set_timer(loop, next);
	}
}

static void loop_deadline(evutil_socket_t fd, short what, void *arg)
{
	(void)fd; /* edge-triggered: never read */
	(void)what;
	struct loop *loop = arg;
	loop->timer_ns = UINT64_MAX; /* it expired */
	wheel_advance(&loop->wheel, clock_now_ns(), WHEEL_BUDGET);
	loop_set_timer_earlier(loop);
}

void loop_arm(struct loop *loop, struct wheel_timer *timer, uint64_t deadline_ns)
{
	wheel_arm(&loop->wheel, timer, deadline_ns);
	loop_set_timer_earlier(loop);
}

void loop_disarm(struct loop *loop, struct wheel_timer *timer)
{
	wheel_cancel(&loop->wheel, timer); /* loop_run sets the timerfd later if need be */
}

int loop_run(struct loop *loop)
{
	int r;
	do {
		/* Stop the timer before the loop sleeps: with no deadline armed it must not wake (G7). */
		uint64_t next = wheel_next(&loop->wheel);
		if (loop->timer_ns < next) {
			loop_set_timer(loop, next);
		}
		r = event_base_loop(loop->base, EVLOOP_ONCE);
	} while (r == 0 && !event_base_got_break(loop->base));
	return r;
}

void loop_stop(struct loop *loop)
{
	event_base_loopbreak(loop->base);
}

/* ---------------------------------------------------------------------------------- events --- */

static struct event *loop_add(struct loop *loop, int fd, short what, enum loop_priority priority,
			      event_callback_fn fn, void *arg)
{
	struct event *event = event_new(loop->base, fd, what, fn, arg);
	if (event && event_priority_set(event, (int)priority) < 0) {
		event_free(event);
		return NULL;
	}
	return event;
}

struct event *loop_listen(struct loop *loop, int fd, short what, enum loop_priority priority,
			  event_callback_fn fn, void *arg)
{
	struct event *event = loop_add(loop, fd, what, priority, fn, arg);
	if (event && event_add(event, NULL) < 0) {
		event_free(event);
		return NULL;
	}
	return event;
}

struct event *loop_trigger(struct loop *loop, enum loop_priority priority, event_callback_fn fn,
			   void *arg)
{
	return loop_add(loop, -1, 0, priority, fn, arg);
}

void event_drop(struct event *event)
{
	if (event) {
		event_free(event);
	}
}

/* --------------------------------------------------------------------------- birth and death -- */

int loop_init(struct loop *loop)
{
	*loop = (struct loop){ .timer = -1, .timer_ns = UINT64_MAX };
	wheel_init(&loop->wheel, clock_now_ns());
	struct event_config *config = event_config_new();
	if (!config) {
		return -ENOMEM;
	}
	event_config_set_flag(config, EVENT_BASE_FLAG_IGNORE_ENV | EVENT_BASE_FLAG_NOLOCK);
	event_config_require_features(config, EV_FEATURE_ET | EV_FEATURE_O1);
	/* So a client that rings all the time can't hide the events of the others. */
	event_config_set_max_dispatch_interval(config, NULL, CALLBACKS_PER_TURN, 0);
	loop->base = event_base_new_with_config(config);
	event_config_free(config);
	if (!loop->base) {
		return log_call("epoll_create1", -errno);
	}
	if (event_base_priority_init(loop->base, PRIORITY_COUNT) < 0) {
		return -ENOMEM;
	}
	loop->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (loop->timer < 0) {
		return log_call("timerfd_create", -errno);
	}
	loop->timer_event = loop_listen(loop, loop->timer, EV_READ | EV_ET | EV_PERSIST,
					PRIORITY_FENCE, loop_deadline, loop);
	return loop->timer_event ? 0 : log_call("epoll_ctl", -errno);
}

void loop_finish(struct loop *loop)
{
	event_drop(loop->timer_event);
	if (loop->base) {
		if (loop->timer >= 0) {
			close(loop->timer);
		}
		event_base_free(loop->base);
	}
	*loop = (struct loop){ 0 };
}
