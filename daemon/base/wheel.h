// SPDX-License-Identifier: MIT
/*
 * A hierarchical timer wheel for deadlines in CLOCK_MONOTONIC nanoseconds. The wheel and its
 * timers are embedded in what owns them, must stay where they are, and hold no resource; one
 * thread uses them. Nothing ticks: the caller sleeps until wheel_next() and then calls
 * wheel_advance().
 *
 * A tick is 2^20 ns, about 1.05 ms. A timer never fires before its deadline, and at most one tick
 * after it when wheel_advance() is called in time. Arming and cancelling take constant time; a
 * timer moves at most WHEEL_LEVELS - 1 times towards its end, and a jump of hours costs no more
 * than the timers that it passes.
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
	uint8_t level; /* the slot it was put in last; WHEEL_LEVELS: none, it was due */
	uint8_t slot;
	/* Called once it is disarmed: may arm, cancel or free this or any other timer, but not
	 * call wheel_advance(). */
	void (*fire)(struct wheel_timer *timer);
};

struct wheel {
	uint64_t tick; /* all that was due before it has fired or is pending */
	uint64_t bitmaps[WHEEL_LEVELS];
	struct wheel_link slots[WHEEL_LEVELS][WHEEL_SLOTS];
	struct wheel_link pending; /* taken from a slot, to be fired or moved to a lower level */
};

void wheel_init(struct wheel *wheel, uint64_t now_ns);

/* Moves the timer when it is armed already. A deadline that is past fires at the next
 * wheel_advance(); one in the last tick of the clock (UINT64_MAX) never does, and costs no wake.
 */
void wheel_arm(struct wheel *wheel, struct wheel_timer *timer, uint64_t deadline_ns);

/* Nothing happens when it is not armed. */
void wheel_cancel(struct wheel *wheel, struct wheel_timer *timer);

bool wheel_timer_armed(const struct wheel_timer *timer);

/*
 * When wheel_advance() is to be called next: never later than one tick after the first deadline,
 * possibly earlier, when timers have to move to a lower level (at most WHEEL_LEVELS - 1 times for
 * one timer). UINT64_MAX when there is nothing to wait for.
 */
uint64_t wheel_next(const struct wheel *wheel);

/*
 * Fire what is due at `now_ns`, at most `budget` timers; returns how many. Moving timers is
 * bounded too, so it may return less than `budget`, even 0, with work left: wheel_next() is then
 * not after `now_ns`. A timer that is armed with a past deadline from within a callback may fire
 * in the same call. Time that steps back is ignored.
 */
unsigned int wheel_advance(struct wheel *wheel, uint64_t now_ns, unsigned int budget);
