// SPDX-License-Identifier: MIT
/*
 * The daemon's one event loop: libevent, with two priorities and all deadlines in one timer wheel behind one
 * timerfd. While no deadline is armed the timer is off, so that an idle daemon has no wake-ups (G7). Embedded;
 * everything here belongs to the thread that runs it.
 */
#pragma once

#include <event2/event.h>
#include <stdint.h>

#include "wheel.h"

/* Signals, fences and deadlines before requests. */
enum loop_priority {
	PRIORITY_FENCE = 0,
	PRIORITY_REQUEST = 1,
	PRIORITY_COUNT = 2,
};

struct loop {
	struct event_base *base;
	struct wheel wheel;
	int timer;         /* the timerfd; set only when the earliest deadline changes */
	uint64_t timer_ns; /* when the timerfd expires; UINT64_MAX: never */
	struct event *timer_event;
};

int loop_init(struct loop *loop);    /* 0 or a negative errno; call loop_finish() in either case */
void loop_finish(struct loop *loop); /* takes one that is all zero */

int loop_run(struct loop *loop); /* until loop_stop(), or a negative errno */
void loop_stop(struct loop *loop);

/* A deadline never fires early, and about a millisecond late at most. */
void loop_arm(struct loop *loop, struct wheel_timer *timer, uint64_t deadline_ns);
void loop_disarm(struct loop *loop, struct wheel_timer *timer);

/* A new event of that priority on an fd, already added; NULL when out of memory. */
struct event *loop_listen(struct loop *loop, int fd, short what, enum loop_priority priority,
			  event_callback_fn fn, void *arg);

/* A new event without an fd; event_active() runs it. */
struct event *loop_trigger(struct loop *loop, enum loop_priority priority, event_callback_fn fn,
			   void *arg);

void event_drop(struct event *event); /* event_free() that takes NULL */
