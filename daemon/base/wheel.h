// SPDX-License-Identifier: MIT
/*
 * A hierarchical timer wheel for deadlines in CLOCK_MONOTONIC nanoseconds. The wheel and its
 * timers are embedded in their owners, must not move, and hold no resource; one thread uses
 * them. Nothing ticks: the caller sleeps until wheel_next() and then calls wheel_advance().
 *
 * A tick is 2^20 ns, about 1.05 ms. A timer never fires before its deadline, and at most one tick
 * after it when wheel_advance() is called in time. Arming and cancelling take constant time. A
 * timer moves at most WHEEL_LEVELS - 1 times, and a jump of hours costs no more than the timers
 * that it passes.
 *
 * Timers that are due in different ticks fire in the order of their ticks; within one tick, and
 * for deadlines that were past when armed, the order is not specified.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define WHEEL_TICK_SHIFT 20
#define WHEEL_SLOT_BITS  6
#define WHEEL_SLOTS      (1 << WHEEL_SLOT_BITS)
/* Eight levels of six bits hold every tick of a 64-bit clock, so that no deadline is too far. */
#define WHEEL_LEVELS 8

struct wheel_link {
	struct wheel_link *next;
	struct wheel_link *prev;
};

struct wheel;

/* Zero except for `fire` before the first wheel_arm(). */
struct wheel_timer {
	struct wheel_link link; /* first; next is NULL while not armed */
	uint64_t deadline_ns;
	uint64_t tick; /* the first one that begins at or after the deadline */
	uint8_t level; /* of the slot that it was last put in; WHEEL_LEVELS: none, it was due */
	uint8_t slot;
	/* Called once the timer is disarmed. It may arm, cancel or free this or any other timer, but
	 * not call wheel_advance(). */
	void (*fire)(struct wheel_timer *timer);
};

struct wheel {
	uint64_t tick; /* every timer that was due before it has fired or is pending */
	uint64_t bitmaps[WHEEL_LEVELS];
	struct wheel_link slots[WHEEL_LEVELS][WHEEL_SLOTS];
	struct wheel_link
		pending; /* taken from a slot; next, each fires or moves to a lower level */
};

void wheel_init(struct wheel *wheel, uint64_t now_ns);

/* Moves the timer when it is armed already. A deadline that is past fires at the next
 * wheel_advance(). One in the last tick of the clock (UINT64_MAX) never fires and costs no wake.
 */
void wheel_arm(struct wheel *wheel, struct wheel_timer *timer, uint64_t deadline_ns);

/* No-op when it is not armed. */
void wheel_cancel(struct wheel *wheel, struct wheel_timer *timer);

bool wheel_timer_armed(const struct wheel_timer *timer);

/*
 * When to call wheel_advance() next: at most one tick after the first deadline, or earlier when
 * timers have to move to a lower level (at most WHEEL_LEVELS - 1 times for one timer). UINT64_MAX
 * when no timer is armed.
 */
uint64_t wheel_next(const struct wheel *wheel);

/*
 * Fire the timers that are due at `now_ns`, at most `budget` of them; returns how many. Moves are
 * bounded too, so it may return less than `budget`, even 0, with work left: wheel_next() is then
 * not after `now_ns`. A timer that a callback arms with a past deadline may fire in the same call.
 * Time that steps back is ignored.
 */
unsigned int wheel_advance(struct wheel *wheel, uint64_t now_ns, unsigned int budget);
