// SPDX-License-Identifier: MIT
/*
 * A timer lives at the level of the highest base-64 digit in which its tick differs from the
 * wheel's, in the slot that its own digit names. So at each level all timers share the wheel's
 * higher digits and lie in slots above the wheel's digit. The first slot of the lowest level in
 * use comes next, and the wheel may jump to any tick before it without moving a timer.
 */
#include "wheel.h"

#include <stddef.h>

#define MOVES_PER_ADVANCE 4096 /* some 100 us: more would delay the rest of the loop */

_Static_assert(offsetof(struct wheel_timer, link) == 0, "a link is cast to its timer");
_Static_assert(WHEEL_LEVELS *WHEEL_SLOT_BITS + WHEEL_TICK_SHIFT >= 65, "levels hold every tick");

static void list_init(struct wheel_link *list)
{
	list->next = list;
	list->prev = list;
}

static bool list_empty(const struct wheel_link *list)
{
	return list->next == list;
}

static void list_append(struct wheel_link *list, struct wheel_link *link)
{
	link->next = list;
	link->prev = list->prev;
	list->prev->next = link;
	list->prev = link;
}

static void list_unlink(struct wheel_link *link)
{
	link->next->prev = link->prev;
	link->prev->next = link->next;
	link->next = NULL;
	link->prev = NULL;
}

/* Moves all of `from`, which is not empty, to `to`, which is. */
static void list_move(struct wheel_link *to, struct wheel_link *from)
{
	*to = *from;
	to->next->prev = to;
	to->prev->next = to;
	list_init(from);
}

void wheel_init(struct wheel *wheel, uint64_t now_ns)
{
	wheel->tick = now_ns >> WHEEL_TICK_SHIFT;
	list_init(&wheel->pending);
	for (unsigned int level = 0; level < WHEEL_LEVELS; level++) {
		wheel->bitmaps[level] = 0;
		for (unsigned int slot = 0; slot < WHEEL_SLOTS; slot++) {
			list_init(&wheel->slots[level][slot]);
		}
	}
}

static void timer_insert(struct wheel *wheel, struct wheel_timer *timer)
{
	if (timer->tick <= wheel->tick) {
		timer->level = WHEEL_LEVELS;
		list_append(&wheel->pending, &timer->link);
		return;
	}
	unsigned int bit = 63 - (unsigned int)__builtin_clzll(timer->tick ^ wheel->tick);
	unsigned int level = bit / WHEEL_SLOT_BITS;
	unsigned int slot = (timer->tick >> (level * WHEEL_SLOT_BITS)) % WHEEL_SLOTS;

	timer->level = (uint8_t)level;
	timer->slot = (uint8_t)slot;
	wheel->bitmaps[level] |= UINT64_C(1) << slot;
	list_append(&wheel->slots[level][slot], &timer->link);
}

void wheel_arm(struct wheel *wheel, struct wheel_timer *timer, uint64_t deadline_ns)
{
	const uint64_t below_tick = (UINT64_C(1) << WHEEL_TICK_SHIFT) - 1;

	wheel_cancel(wheel, timer);
	timer->deadline_ns = deadline_ns;
	timer->tick = (deadline_ns >> WHEEL_TICK_SHIFT) + ((deadline_ns & below_tick) != 0);
	timer_insert(wheel, timer);
}

void wheel_cancel(struct wheel *wheel, struct wheel_timer *timer)
{
	if (!wheel_timer_armed(timer)) {
		return;
	}
	list_unlink(&timer->link);
	/* An empty slot must not cause a wake. (A pending timer still names the slot that it was taken
	 * from; wheel_step cleared the bit of that slot.) */
	if (timer->level < WHEEL_LEVELS && list_empty(&wheel->slots[timer->level][timer->slot])) {
		wheel->bitmaps[timer->level] &= ~(UINT64_C(1) << timer->slot);
	}
}

bool wheel_timer_armed(const struct wheel_timer *timer)
{
	return timer->link.next;
}

struct place {
	unsigned int level;
	unsigned int slot;
	uint64_t tick; /* when the slot begins */
};

static bool wheel_first(const struct wheel *wheel, struct place *ret_place)
{
	for (unsigned int level = 0; level < WHEEL_LEVELS; level++) {
		if (wheel->bitmaps[level]) {
			unsigned int shift = level * WHEEL_SLOT_BITS;
			unsigned int slot = (unsigned int)__builtin_ctzll(wheel->bitmaps[level]);
			uint64_t above = wheel->tick >> (shift + WHEEL_SLOT_BITS);

			*ret_place = (struct place){
				.level = level,
				.slot = slot,
				.tick = ((above << WHEEL_SLOT_BITS) | slot) << shift,
			};
			return true;
		}
	}
	return false;
}

uint64_t wheel_next(const struct wheel *wheel)
{
	struct place place;

	if (!list_empty(&wheel->pending)) {
		return wheel->tick << WHEEL_TICK_SHIFT;
	}
	if (!wheel_first(wheel, &place) || place.tick > UINT64_MAX >> WHEEL_TICK_SHIFT) {
		return UINT64_MAX;
	}
	return place.tick << WHEEL_TICK_SHIFT;
}

/* Go to the next slot in use that begins by `target`, and take its timers. False when there is none:
 * the wheel then stands at `target`. */
static bool wheel_step(struct wheel *wheel, uint64_t target)
{
	struct place place;

	if (!wheel_first(wheel, &place) || place.tick > target) {
		if (target > wheel->tick) {
			wheel->tick = target;
		}
		return false;
	}
	wheel->tick = place.tick;
	wheel->bitmaps[place.level] &= ~(UINT64_C(1) << place.slot);
	list_move(&wheel->pending, &wheel->slots[place.level][place.slot]);
	return true;
}

unsigned int wheel_advance(struct wheel *wheel, uint64_t now_ns, unsigned int budget)
{
	uint64_t target = now_ns >> WHEEL_TICK_SHIFT;
	unsigned int fired = 0;
	unsigned int moved = 0;

	for (;;) {
		if (list_empty(&wheel->pending) && !wheel_step(wheel, target)) {
			return fired;
		}
		if (fired == budget || moved == MOVES_PER_ADVANCE) {
			return fired;
		}
		struct wheel_timer *timer = (struct wheel_timer *)wheel->pending.next;

		list_unlink(&timer->link);
		if (timer->tick <= wheel->tick) {
			fired++;
			timer->fire(timer);
		} else {
			moved++;
			timer_insert(wheel, timer);
		}
	}
}
