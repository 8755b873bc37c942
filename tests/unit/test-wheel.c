// SPDX-License-Identifier: MIT
#include "daemon/base/wheel.h"

#include <limits.h>
#include <stdlib.h>

#include "tests/expect.h"
#include "tests/suite.h"

#define TICK      (UINT64_C(1) << WHEEL_TICK_SHIFT)
#define HOUR      (UINT64_C(3600) * 1000000000)
#define LAST_TICK (UINT64_MAX / TICK * TICK) /* when the clock's last tick begins */

/* Of any magnitude up to 2^bits. */
static uint64_t random_range(unsigned int bits)
{
	return random_next() >> (64 - 1 - random_next() % bits);
}

static struct wheel wheel;
static struct wheel_timer *fired[20000];
static size_t fired_count;

static void note_fired(struct wheel_timer *timer)
{
	EXPECT(fired_count < sizeof(fired) / sizeof(fired[0]));
	EXPECT(!wheel_timer_armed(timer));
	fired[fired_count++] = timer;
}

static struct wheel_timer timer_new(void (*fire)(struct wheel_timer *timer))
{
	return (struct wheel_timer){ .fire = fire };
}

START_TEST(empty)
{
	struct wheel_timer timer = timer_new(note_fired);

	wheel_init(&wheel, 12345);
	ck_assert_uint_eq(wheel_next(&wheel), UINT64_MAX);
	ck_assert_uint_eq(wheel_advance(&wheel, 100 * HOUR, 10), 0);
	ck_assert_uint_eq(wheel_next(&wheel), UINT64_MAX);
	ck_assert(!wheel_timer_armed(&timer));
	wheel_cancel(&wheel, &timer);
	ck_assert(!wheel_timer_armed(&timer));
}
END_TEST

/* A timer on a tick fires at that very nanosecond, one a nanosecond later with the next tick. */
START_TEST(exact_boundaries)
{
	static const uint64_t ticks[] = { 1, 63, 64, 65, 4095, 4096, 262144, UINT64_C(1) << 40 };
	const uint64_t start = TICK * 1000;
	const uint64_t at = start + ticks[_i] * TICK;
	struct wheel_timer on = timer_new(note_fired);
	struct wheel_timer after = timer_new(note_fired);

	wheel_init(&wheel, start);
	wheel_arm(&wheel, &on, at);
	wheel_arm(&wheel, &after, at + 1);
	ck_assert_uint_eq(wheel_advance(&wheel, at - 1, 10), 0);
	ck_assert_uint_eq(wheel_next(&wheel), at);
	ck_assert_uint_eq(wheel_advance(&wheel, at, 10), 1);
	ck_assert_ptr_eq(fired[0], &on);
	ck_assert(!wheel_timer_armed(&on));
	ck_assert(wheel_timer_armed(&after));
	ck_assert_uint_eq(wheel_next(&wheel), at + TICK);
	ck_assert_uint_eq(wheel_advance(&wheel, at + TICK - 1, 10), 0);
	ck_assert_uint_eq(wheel_advance(&wheel, at + TICK, 10), 1);
	ck_assert_ptr_eq(fired[1], &after);
	ck_assert_uint_eq(wheel_next(&wheel), UINT64_MAX);
}
END_TEST

START_TEST(past_deadlines)
{
	struct wheel_timer zero = timer_new(note_fired);
	struct wheel_timer past = timer_new(note_fired);
	const uint64_t now = 10 * HOUR + 5;

	wheel_init(&wheel, now);
	wheel_arm(&wheel, &zero, 0);
	wheel_arm(&wheel, &past, now - HOUR);
	ck_assert_uint_le(wheel_next(&wheel), now);
	ck_assert_uint_eq(wheel_advance(&wheel, now, 10), 2);
	ck_assert_uint_eq(wheel_next(&wheel), UINT64_MAX);
	wheel_arm(&wheel, &zero, 0);
	wheel_cancel(&wheel, &zero);
	ck_assert_uint_eq(wheel_next(&wheel), UINT64_MAX);
	ck_assert_uint_eq(wheel_advance(&wheel, now, 10), 0);
}
END_TEST

START_TEST(end_of_time)
{
	struct wheel_timer never = timer_new(note_fired);
	struct wheel_timer last = timer_new(note_fired);

	wheel_init(&wheel, HOUR);
	wheel_arm(&wheel, &never, UINT64_MAX);
	ck_assert(wheel_timer_armed(&never));
	ck_assert_uint_eq(wheel_next(&wheel), UINT64_MAX);
	wheel_arm(&wheel, &last, LAST_TICK);
	ck_assert_uint_lt(wheel_next(&wheel), UINT64_MAX);
	ck_assert_uint_eq(wheel_advance(&wheel, LAST_TICK - 1, 10), 0);
	ck_assert_uint_eq(wheel_advance(&wheel, LAST_TICK, 10), 1);
	ck_assert_ptr_eq(fired[0], &last);
	ck_assert_uint_eq(wheel_advance(&wheel, UINT64_MAX, 10), 0);
	ck_assert_uint_eq(wheel_next(&wheel), UINT64_MAX);
	wheel_arm(&wheel, &never, LAST_TICK + 1);
	ck_assert_uint_eq(wheel_advance(&wheel, UINT64_MAX, 10), 0);
	wheel_cancel(&wheel, &never);
	ck_assert(!wheel_timer_armed(&never));
}
END_TEST

START_TEST(arming_again_moves)
{
	struct wheel_timer timer = timer_new(note_fired);

	wheel_init(&wheel, 0);
	wheel_arm(&wheel, &timer, 10 * TICK);
	wheel_arm(&wheel, &timer, 5 * TICK);
	ck_assert_uint_eq(wheel_next(&wheel), 5 * TICK);
	wheel_arm(&wheel, &timer, 20 * TICK);
	ck_assert_uint_eq(wheel_next(&wheel), 20 * TICK);
	ck_assert_uint_eq(wheel_advance(&wheel, 20 * TICK - 1, 10), 0);
	ck_assert_uint_eq(wheel_advance(&wheel, 20 * TICK, 10), 1);
	ck_assert_uint_eq(wheel_advance(&wheel, HOUR, 10), 0);
}
END_TEST

/* Nothing is left that would wake the owner. */
START_TEST(cancelling_leaves_no_wake)
{
	struct wheel_timer timers[3];

	wheel_init(&wheel, HOUR);
	for (unsigned int bits = 0; bits < 60; bits++) {
		for (size_t i = 0; i < 3; i++) {
			timers[i] = timer_new(note_fired);
			wheel_arm(&wheel, &timers[i], HOUR + (UINT64_C(1) << bits));
		}
		wheel_cancel(&wheel, &timers[1]);
		wheel_cancel(&wheel, &timers[1]);
		wheel_cancel(&wheel, &timers[0]);
		ck_assert_uint_lt(wheel_next(&wheel), UINT64_MAX);
		wheel_cancel(&wheel, &timers[2]);
		ck_assert_uint_eq(wheel_next(&wheel), UINT64_MAX);
	}
}
END_TEST

START_TEST(time_stepping_back)
{
	struct wheel_timer timer = timer_new(note_fired);

	wheel_init(&wheel, 100 * TICK);
	wheel_arm(&wheel, &timer, 110 * TICK);
	ck_assert_uint_eq(wheel_advance(&wheel, 105 * TICK, 10), 0);
	ck_assert_uint_eq(wheel_advance(&wheel, 0, 10), 0);
	ck_assert_uint_eq(wheel_next(&wheel), 110 * TICK);
	ck_assert_uint_eq(wheel_advance(&wheel, 110 * TICK, 10), 1);
}
END_TEST

/* A wheel that walked tick by tick would not end within this test's timeout. */
START_TEST(jumps_are_cheap)
{
	static struct wheel_timer timers[1000];
	uint64_t now = HOUR;

	wheel_init(&wheel, now);
	for (size_t i = 0; i < 1000; i++) {
		timers[i] = timer_new(note_fired);
	}
	for (size_t turn = 0; turn < 10; turn++) {
		fired_count = 0;
		for (size_t i = 0; i < 1000; i++) {
			wheel_arm(&wheel, &timers[i], now + 24 * 365 * HOUR + i * HOUR);
		}
		now += 2 * 24 * 365 * HOUR;
		while (wheel_next(&wheel) <= now) {
			wheel_advance(&wheel, now, UINT_MAX);
		}
		ck_assert_uint_eq(fired_count, 1000);
		for (size_t i = 0; i < 1000; i++) {
			ck_assert_ptr_eq(fired[i], &timers[i]);
		}
	}
}
END_TEST

/* An owner that sleeps until wheel_next() is woken seldom, and in time. */
START_TEST(sleeping_until_next)
{
	for (int turn = 0; turn < 20000; turn++) {
		struct wheel_timer timer = timer_new(note_fired);
		uint64_t now = random_range(62);
		uint64_t deadline = now + random_range(62);
		unsigned int wakes = 0;

		wheel_init(&wheel, now);
		wheel_arm(&wheel, &timer, deadline);
		fired_count = 0;
		while (fired_count == 0) {
			uint64_t next = wheel_next(&wheel);

			EXPECT(next < UINT64_MAX);
			EXPECT(next > now || wakes == 0);
			now = next > now ? next : now;
			wakes++;
			EXPECT(wakes <= WHEEL_LEVELS);
			EXPECT(wheel_advance(&wheel, now, 1) == fired_count);
		}
		EXPECT(now >= deadline);
		EXPECT(now - deadline < TICK);
	}
}
END_TEST

#define MODEL_COUNT 300

struct model_timer {
	struct wheel_timer timer; /* first */
	bool armed;
	uint64_t deadline_ns;
};

static struct model_timer model[MODEL_COUNT];
static uint64_t model_now;

static bool model_due(const struct model_timer *entry)
{
	return entry->armed && (entry->deadline_ns <= model_now / TICK * TICK);
}

static void model_fired(struct wheel_timer *timer)
{
	struct model_timer *entry = (struct model_timer *)timer;

	EXPECT(model_due(entry));
	EXPECT(timer->deadline_ns == entry->deadline_ns);
	entry->armed = false;
	/* Sometimes it cancels and moves other timers, as callbacks do. */
	if (random_next() % 4 == 0) {
		struct model_timer *other = &model[random_next() % MODEL_COUNT];

		wheel_cancel(&wheel, &other->timer);
		other->armed = false;
	}
	if (random_next() % 4 == 0) {
		struct model_timer *other = &model[random_next() % MODEL_COUNT];

		other->deadline_ns = model_now + TICK + random_range(50);
		other->armed = true;
		wheel_arm(&wheel, &other->timer, other->deadline_ns);
	}
}

static void model_change(void)
{
	struct model_timer *entry = &model[random_next() % MODEL_COUNT];

	if (random_next() % 3 == 0) {
		wheel_cancel(&wheel, &entry->timer);
		entry->armed = false;
	} else {
		entry->deadline_ns = model_now + random_range(50);
		if (random_next() % 16 == 0) {
			entry->deadline_ns = random_next() % (model_now + 1);
		}
		entry->armed = true;
		wheel_arm(&wheel, &entry->timer, entry->deadline_ns);
	}
}

/* After all that was due has fired. */
static void model_compare(void)
{
	uint64_t first = UINT64_MAX;

	for (size_t i = 0; i < MODEL_COUNT; i++) {
		EXPECT(!model_due(&model[i]));
		EXPECT(wheel_timer_armed(&model[i].timer) == model[i].armed);
		if (model[i].armed && model[i].deadline_ns < first) {
			first = model[i].deadline_ns;
		}
	}
	uint64_t next = wheel_next(&wheel);

	EXPECT(next > model_now);
	EXPECT((next == UINT64_MAX) == (first == UINT64_MAX));
	EXPECT(first == UINT64_MAX || next < first + TICK);
}

START_TEST(random_against_model)
{
	const unsigned int budget = _i ? UINT_MAX : 3;

	model_now = 1000 * HOUR + 77;
	wheel_init(&wheel, model_now);
	for (size_t i = 0; i < MODEL_COUNT; i++) {
		model[i].timer = timer_new(model_fired);
	}
	for (int turn = 0; turn < 3000; turn++) {
		for (uint64_t changes = random_next() % 16; changes > 0; changes--) {
			model_change();
		}
		model_now += random_range(turn % 100 == 0 ? 50 : 36);
		do {
			EXPECT(wheel_advance(&wheel, model_now, budget) <= budget);
		} while (wheel_next(&wheel) <= model_now);
		model_compare();
	}
}
END_TEST

START_TEST(ticks_in_order)
{
	static struct wheel_timer timers[5000];

	wheel_init(&wheel, HOUR);
	for (size_t i = 0; i < 5000; i++) {
		timers[i] = timer_new(note_fired);
		wheel_arm(&wheel, &timers[i], HOUR + TICK + random_range(45));
	}
	/* More timers to move than one call moves: it takes several. */
	while (wheel_next(&wheel) < UINT64_MAX) {
		wheel_advance(&wheel, HOUR + (UINT64_C(1) << 46), UINT_MAX);
	}
	ck_assert_uint_eq(fired_count, 5000);
	for (size_t i = 1; i < 5000; i++) {
		EXPECT((fired[i - 1]->deadline_ns + TICK - 1) / TICK <=
		       (fired[i]->deadline_ns + TICK - 1) / TICK);
	}
}
END_TEST

START_TEST(budget_is_kept)
{
	static struct wheel_timer timers[10];
	const uint64_t now = HOUR + 5 * TICK;

	wheel_init(&wheel, HOUR);
	for (size_t i = 0; i < 10; i++) {
		timers[i] = timer_new(note_fired);
		wheel_arm(&wheel, &timers[i], HOUR + (i < 5 ? 1 : 3) * TICK);
	}
	ck_assert_uint_eq(wheel_advance(&wheel, now, 0), 0);
	ck_assert_uint_eq(fired_count, 0);
	ck_assert_uint_le(wheel_next(&wheel), now);
	ck_assert_uint_eq(wheel_advance(&wheel, now, 4), 4);
	ck_assert_uint_le(wheel_next(&wheel), now);
	ck_assert_uint_eq(wheel_advance(&wheel, now, 4), 4);
	ck_assert_uint_le(wheel_next(&wheel), now);
	/* A timer that waits for its turn can still be cancelled or moved. */
	for (size_t i = 0, left = 2; i < 10; i++) {
		if (wheel_timer_armed(&timers[i]) && left-- == 2) {
			wheel_cancel(&wheel, &timers[i]);
		} else if (wheel_timer_armed(&timers[i])) {
			wheel_arm(&wheel, &timers[i], now + TICK);
		}
	}
	ck_assert_uint_gt(wheel_next(&wheel), now);
	ck_assert_uint_eq(wheel_advance(&wheel, now, 4), 0);
	ck_assert_uint_eq(wheel_advance(&wheel, now + 2 * TICK, 4), 1);
	ck_assert_uint_eq(fired_count, 9);
	ck_assert_uint_eq(wheel_next(&wheel), UINT64_MAX);
}
END_TEST

/* A slot with very many timers is moved in parts; none fires early or is lost. */
START_TEST(crowded_slot)
{
	static struct wheel_timer timers[20000];
	const uint64_t at = 64 * 64 * TICK; /* where a slot of the third level begins */
	unsigned int calls = 0;

	wheel_init(&wheel, 0);
	for (size_t i = 0; i < 20000; i++) {
		timers[i] = timer_new(note_fired);
		wheel_arm(&wheel, &timers[i], at + 10 * TICK);
	}
	do {
		ck_assert_uint_eq(wheel_advance(&wheel, at, 1000), 0);
		calls++;
	} while (wheel_next(&wheel) <= at);
	ck_assert_uint_gt(calls, 1);
	ck_assert_uint_lt(calls, 20);
	ck_assert_uint_eq(wheel_next(&wheel), at + 10 * TICK);
	ck_assert_uint_eq(wheel_advance(&wheel, at + 10 * TICK, UINT_MAX), 20000);
}
END_TEST

struct pair {
	struct wheel_timer timer; /* first */
	struct pair *other;
	unsigned int *fires;
};

static void pair_cancels_other(struct wheel_timer *timer)
{
	struct pair *pair = (struct pair *)timer;

	(*pair->fires)++;
	wheel_cancel(&wheel, &pair->other->timer);
}

static void pair_frees_both(struct wheel_timer *timer)
{
	struct pair *pair = (struct pair *)timer;

	(*pair->fires)++;
	wheel_cancel(&wheel, &pair->other->timer);
	free(pair->other);
	free(pair);
}

/* Whichever comes first, in the same tick or in a later one of the same call. */
START_TEST(callbacks_end_siblings)
{
	unsigned int fires = 0;

	wheel_init(&wheel, 0);
	for (uint64_t distance = 0; distance < 3; distance++) {
		struct pair *a = calloc(1, sizeof(*a));
		struct pair *b = calloc(1, sizeof(*b));

		ck_assert(a && b);
		*a = (struct pair){ .other = b, .fires = &fires };
		*b = (struct pair){ .other = a, .fires = &fires };
		for (int freeing = 0; freeing < 2; freeing++) {
			uint64_t now = wheel.tick * TICK;

			a->timer.fire = freeing ? pair_frees_both : pair_cancels_other;
			b->timer.fire = a->timer.fire;
			wheel_arm(&wheel, &a->timer, now + 100 * TICK);
			wheel_arm(&wheel, &b->timer, now + (100 + distance * 70) * TICK);
			fires = 0;
			ck_assert_uint_eq(wheel_advance(&wheel, now + HOUR, 10), 1);
			ck_assert_uint_eq(fires, 1);
			ck_assert_uint_eq(wheel_next(&wheel), UINT64_MAX);
		}
	}
}
END_TEST

static uint64_t rearm_step;

static void rearm_self(struct wheel_timer *timer)
{
	fired_count++;
	wheel_arm(&wheel, timer, rearm_step ? timer->deadline_ns + rearm_step : 0);
}

START_TEST(callback_arms_itself)
{
	struct wheel_timer timer = timer_new(rearm_self);

	wheel_init(&wheel, 0);
	rearm_step = 10 * TICK;
	wheel_arm(&wheel, &timer, 10 * TICK);
	/* All periods that have passed, in one call; and no more. */
	ck_assert_uint_eq(wheel_advance(&wheel, 1000 * TICK, UINT_MAX), 100);
	ck_assert_uint_eq(wheel_advance(&wheel, 1010 * TICK - 1, UINT_MAX), 0);
	ck_assert_uint_eq(wheel_advance(&wheel, 1010 * TICK, UINT_MAX), 1);
	/* The budget stops a timer that is always due. */
	rearm_step = 0;
	ck_assert_uint_eq(wheel_advance(&wheel, 1020 * TICK, 50), 50);
	ck_assert(wheel_timer_armed(&timer));
	ck_assert_uint_le(wheel_next(&wheel), 1020 * TICK);
	wheel_cancel(&wheel, &timer);
	ck_assert_uint_eq(wheel_next(&wheel), UINT64_MAX);
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_test(tcase, empty);
	tcase_add_loop_test(tcase, exact_boundaries, 0, 8);
	tcase_add_test(tcase, past_deadlines);
	tcase_add_test(tcase, end_of_time);
	tcase_add_test(tcase, arming_again_moves);
	tcase_add_test(tcase, cancelling_leaves_no_wake);
	tcase_add_test(tcase, time_stepping_back);
	tcase_add_test(tcase, jumps_are_cheap);
	tcase_add_test(tcase, sleeping_until_next);
	tcase_add_loop_test(tcase, random_against_model, 0, 2);
	tcase_add_test(tcase, ticks_in_order);
	tcase_add_test(tcase, budget_is_kept);
	tcase_add_test(tcase, crowded_slot);
	tcase_add_test(tcase, callbacks_end_siblings);
	tcase_add_test(tcase, callback_arms_itself);
}

int main(void)
{
	return suite_main("wheel", add);
}
