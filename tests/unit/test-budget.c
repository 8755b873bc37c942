// SPDX-License-Identifier: MIT
/* The watcher's budget, with simulated time. */

#include "daemon/base/budget.h"
#include "tests/suite.h"

#define PERCENT 10

static struct budget budget;
static uint64_t wall, cpu;

static void setup(void)
{
	wall = 1000 * NS_PER_S;
	cpu = 0;
	budget_init(&budget, PERCENT, wall);
}

/* That much real time passes; so much of it is used, or reported as used. */
static void pass(uint64_t wall_ns, uint64_t cpu_ns)
{
	wall += wall_ns;
	cpu += cpu_ns;
	budget_settle(&budget, wall, cpu);
}

/* Sleeps for as long as the budget says. Returns how long. */
static uint64_t rest(void)
{
	uint64_t until = budget_wait(&budget), from = wall;
	if (until != 0) {
		ck_assert_uint_gt(until, wall);
		pass(until - wall, 0);
		ck_assert_uint_eq(budget_wait(&budget), 0);
	}
	return wall - from;
}

/* One rest pays the debt, in proportion. */
START_TEST(debt)
{
	static const uint64_t owed_us[] = { 0, 1, 1000, 4000, 5000 };
	uint64_t owed = owed_us[_i] * NS_PER_US;
	pass(0, BUDGET_DEPTH * PERCENT / 100 + owed);
	ck_assert_uint_eq(rest(), (owed + BUDGET_SLICE) * 100 / PERCENT);
	ck_assert_uint_eq(rest(), 0);
}
END_TEST

/* The thread's clock counts time that it did not run, for long: the rest is no longer than for the
 * largest debt. */
START_TEST(stolen)
{
	pass(60 * NS_PER_S, 60 * NS_PER_S);
	ck_assert_uint_eq(rest(), BUDGET_DEPTH + BUDGET_SLICE * 100 / PERCENT);
}
END_TEST

/* A long rest allows no long burst. */
START_TEST(saved_up)
{
	pass(UINT64_C(365) * 24 * 3600 * NS_PER_S, 0);
	pass(0, BUDGET_DEPTH * PERCENT / 100 - 1);
	ck_assert_uint_eq(budget_wait(&budget), 0);
	pass(0, 1);
	ck_assert_uint_ne(budget_wait(&budget), 0);
}
END_TEST

/* Bursts of any length up to the largest debt: the watcher gets its percentage, and no more. */
START_TEST(in_the_long_run)
{
	static const uint64_t work_us[] = { 1, 20, 50, 300, 5000 };
	uint64_t work = work_us[_i] * NS_PER_US, began = wall;
	while (wall < began + 100 * NS_PER_S) {
		pass(work, work);
		rest();
	}
	uint64_t due = (wall - began) / 100 * PERCENT, saved = BUDGET_DEPTH * PERCENT / 100;
	ck_assert_uint_le(cpu, due + saved + work);
	ck_assert_uint_ge(cpu, due - saved);
}
END_TEST

START_TEST(all_of_it)
{
	budget_init(&budget, 100, wall);
	for (int i = 0; i < 1000; i++) {
		pass(NS_PER_MS, NS_PER_MS);
		ck_assert_uint_eq(budget_wait(&budget), 0);
	}
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, NULL);
	tcase_add_loop_test(tcase, debt, 0, 5);
	tcase_add_test(tcase, stolen);
	tcase_add_test(tcase, saved_up);
	tcase_add_loop_test(tcase, in_the_long_run, 0, 5);
	tcase_add_test(tcase, all_of_it);
}

int main(void)
{
	return suite_main("budget", add);
}
