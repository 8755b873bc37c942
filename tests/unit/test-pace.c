// SPDX-License-Identifier: MIT
/* The watcher's pace, with simulated time: a device that raises its payload, and the thread that
 * polls it. */

#include "daemon/base/clock.h"
#include "daemon/base/pace.h"
#include "tests/suite.h"

#define LOOK_NS 200 /* duration of a look */

static struct pace pace;
static uint64_t now, looks, spun_ns, late_ns;
static uint64_t random_state;

static uint64_t random_below(uint64_t bound)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return bound ? random_state % bound : 0;
}

static void setup(void)
{
	pace = (struct pace){ 0 };
	now = 1000 * NS_PER_S;
	looks = spun_ns = late_ns = 0;
	random_state = 88172645463325252;
}

/* Looks for `value`, which is there from `at` on, as the watcher does. */
static void find(uint64_t value, uint64_t at)
{
	uint64_t since = now, looked = now;
	while (now < at) {
		looked = now;
		uint64_t next = pace_next(&pace, value, since, now);
		ck_assert_uint_ge(next, now);
		spun_ns += next == now ? LOOK_NS : 0;
		now = next > now ? next : now + LOOK_NS;
		looks++;
	}
	late_ns = now - at;
	pace_observe(&pace, value, looked, now);
}

/* `count` frames of `interval`, each off by up to `jitter`; adds up how late they were seen. */
static uint64_t frames(uint64_t first, uint64_t count, uint64_t interval, uint64_t jitter)
{
	uint64_t start = now, sum = 0;
	for (uint64_t i = 1; i <= count; i++) {
		find(first + i, start + i * interval + random_below(jitter));
		sum += late_ns;
	}
	return sum;
}

/* By then it spins only shortly before the value, and finds it while spinning. */
START_TEST(steady)
{
	static const uint64_t intervals[] = { 500 * NS_PER_US, NS_PER_MS, 16666667, NS_PER_S };
	uint64_t interval = intervals[_i];
	frames(0, 60, interval, 0);
	looks = spun_ns = 0;
	uint64_t late = frames(60, 100, interval, 0);
	ck_assert_uint_le(late / 100, 2 * LOOK_NS);
	ck_assert_uint_le(spun_ns / 100, 60 * NS_PER_US);
}
END_TEST

START_TEST(with_jitter)
{
	frames(0, 60, 16666667, NS_PER_MS);
	spun_ns = 0;
	uint64_t late = frames(60, 200, 16666667, NS_PER_MS);
	ck_assert_uint_le(late / 200, 200 * NS_PER_US);
	ck_assert_uint_le(spun_ns / 200, 2 * NS_PER_MS);
}
END_TEST

/* Values that are nanoseconds: less than one step. */
START_TEST(many_values_a_frame)
{
	uint64_t start = now, late = 0;
	for (uint64_t i = 1; i <= 160; i++) {
		find(i * 20000000, start + i * 16666667);
		late = i > 60 ? late + late_ns : 0;
	}
	ck_assert_uint_le(late / 100, 2 * LOOK_NS);
}
END_TEST

/* Only every fourth frame is waited for. */
START_TEST(skipped_frames)
{
	uint64_t start = now, late = 0;
	for (uint64_t i = 1; i <= 160; i++) {
		find(i * 4, start + i * 4 * NS_PER_MS);
		late = i > 60 ? late + late_ns : 0;
	}
	ck_assert_uint_le(late / 100, 2 * LOOK_NS);
}
END_TEST

/* Without history: late by an eighth at most, in few looks. */
START_TEST(unknown)
{
	static const uint64_t waits[] = { 100 * NS_PER_US, NS_PER_MS, 10 * NS_PER_MS, NS_PER_S,
					  100 * NS_PER_S };
	uint64_t wait = waits[_i];
	find(1, now + wait);
	ck_assert_uint_le(late_ns, wait / 8 + 20 * NS_PER_US);
	ck_assert_uint_le(late_ns, 100 * NS_PER_MS);
	ck_assert_uint_le(looks, 50 + wait / NS_PER_MS);
	ck_assert_uint_eq(spun_ns, 0);
}
END_TEST

/* After a pause, whose end cannot be predicted, it starts without history. */
START_TEST(paused)
{
	frames(0, 60, NS_PER_MS, 0);
	now += 3600 * NS_PER_S;
	find(61, now + 5 * NS_PER_MS);
	ck_assert_uint_le(late_ns, NS_PER_MS);
	uint64_t late = frames(61, 60, NS_PER_MS, 0);
	ck_assert_uint_le(late / 60, 200 * NS_PER_US);
}
END_TEST

/* A value that comes far sooner than ever is found soon too. */
START_TEST(too_soon)
{
	frames(0, 20, NS_PER_S, 0);
	find(21, now + 5 * NS_PER_MS);
	ck_assert_uint_le(late_ns, 10 * NS_PER_MS);
}
END_TEST

/* For any input, the next look is neither in the past nor far away. */
START_TEST(bounded_always)
{
	for (int i = 0; i < 100000; i++) {
		uint64_t value = pace.value + 1 + random_below(UINT64_C(1) << random_below(61));
		uint64_t before = now;
		now += random_below(UINT64_C(1) << random_below(40));
		if (i % 3 == 0 && value < UINT64_C(1) << 62) {
			pace_observe(&pace, value, before, now);
		}
		uint64_t next = pace_next(&pace, value, before, now);
		ck_assert_uint_ge(next, now);
		ck_assert_uint_le(next, now + 100 * NS_PER_MS);
	}
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, NULL);
	tcase_add_loop_test(tcase, steady, 0, 4);
	tcase_add_test(tcase, with_jitter);
	tcase_add_test(tcase, many_values_a_frame);
	tcase_add_test(tcase, skipped_frames);
	tcase_add_loop_test(tcase, unknown, 0, 5);
	tcase_add_test(tcase, paused);
	tcase_add_test(tcase, too_soon);
	tcase_add_test(tcase, bounded_always);
}

int main(void)
{
	return suite_main("pace", add);
}
