// SPDX-License-Identifier: MIT
/* What a timeline learns about how long to spin: as numbers, without a clock. */
#include "client/lib/spin.h"

#include <stdlib.h>

#include "tests/suite.h"

#define MAX_NS 10000

static struct spin spin;

static void setup(void)
{
	spin = (struct spin){ 0 };
}

/* Waits whose points come after `ns`. Returns the time spent spinning in vain. */
static uint64_t waits(unsigned int count, uint64_t ns, unsigned int *ret_slept)
{
	uint64_t wasted = 0;
	*ret_slept = 0;
	for (unsigned int i = 0; i < count; i++) {
		uint64_t budget = spin_budget(&spin, MAX_NS);
		ck_assert_uint_le(budget, MAX_NS);
		bool decided = ns <= budget;
		*ret_slept += !decided;
		if (budget > 0) {
			wasted += decided ? 0 : budget;
			spin_learn(&spin, budget, decided ? ns : budget, decided);
		}
		if (!decided) {
			spin_slept(&spin, ns);
		}
	}
	return wasted;
}

START_TEST(off)
{
	ck_assert_uint_eq(spin_budget(&spin, 0), 0);
}
END_TEST

/* Sooner than the policy's bound: spins each time, and not much longer than the usual time. */
START_TEST(soon)
{
	unsigned int slept;
	waits(100, 1500, &slept);
	ck_assert_uint_eq(slept, 0);
	uint64_t budget = spin_budget(&spin, MAX_NS);
	ck_assert_uint_ge(budget, 2 * 1500);
	ck_assert_uint_lt(budget, MAX_NS);
}
END_TEST

/* Later than the bound: spins for some percent of the waiting time, and for less than one where
 * points come far too late. */
START_TEST(late)
{
	static const struct {
		uint64_t ns, percent;
	} cases[] = { { 5 * MAX_NS, 4 }, { 100 * MAX_NS, 1 } };
	unsigned int slept;
	uint64_t ns = cases[_i].ns;
	uint64_t wasted = waits(10000, ns, &slept);
	ck_assert_uint_eq(slept, 10000);
	ck_assert_uint_lt(wasted, 10000 * ns / 100 * cases[_i].percent);
}
END_TEST

/* From late to soon and back: learned within some hundred waits. */
START_TEST(changing)
{
	unsigned int slept;
	waits(10000, 300 * MAX_NS, &slept);
	waits(150, 2000, &slept);
	waits(100, 2000, &slept);
	ck_assert_uint_eq(slept, 0);
	uint64_t wasted = waits(100, 3 * MAX_NS, &slept);
	ck_assert_uint_eq(slept, 100);
	ck_assert_uint_lt(wasted, UINT64_C(25) * MAX_NS);
}
END_TEST

/*
 * Two that answer each other. While both spin, an answer takes 2 us; if either slept, it is late.
 * Both start as sleepers, out of step, and both end up spinning.
 */
START_TEST(together)
{
	struct spin two[2] = { { .skip = 3 }, { .skip = 9 } };
	uint64_t random = 7;
	unsigned int rounds = 0, quick = 0;
	while (quick < 20) {
		uint64_t budgets[2];
		ck_assert_uint_lt(rounds++, 1000);
		for (int i = 0; i < 2; i++) {
			budgets[i] = spin_budget(&two[i], MAX_NS);
		}
		bool both = budgets[0] > 0 && budgets[1] > 0;
		quick = both ? quick + 1 : 0;
		for (int i = 0; i < 2; i++) {
			random = random * 6364136223846793005u + 1442695040888963407u;
			uint64_t jitter = (random >> 33) % 500;
			if (budgets[i] > 0) {
				spin_learn(&two[i], budgets[i], both ? 2000 : MAX_NS + jitter,
					   both);
			}
			if (!both) {
				spin_slept(&two[i], 5 * MAX_NS);
			}
		}
	}
}
END_TEST

/* One late point among many soon ones does not stop the spinning. */
START_TEST(outlier)
{
	unsigned int slept;
	waits(100, 1000, &slept);
	waits(1, 1000000, &slept);
	waits(100, 1000, &slept);
	ck_assert_uint_eq(slept, 0);
}
END_TEST

/* Preempted twice while spinning: it does not spin for a while. */
START_TEST(preempted)
{
	unsigned int slept;
	waits(100, 1000, &slept);
	spin_learn(&spin, 5000, 4000000, true);
	ck_assert_uint_gt(spin_budget(&spin, MAX_NS), 0);
	spin_learn(&spin, 5000, 4000000, true);
	for (int i = 0; i < 8; i++) {
		ck_assert_uint_eq(spin_budget(&spin, MAX_NS), 0);
	}
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, NULL);
	tcase_add_test(tcase, off);
	tcase_add_test(tcase, soon);
	tcase_add_loop_test(tcase, late, 0, 2);
	tcase_add_test(tcase, changing);
	tcase_add_test(tcase, together);
	tcase_add_test(tcase, outlier);
	tcase_add_test(tcase, preempted);
}

int main(void)
{
	return suite_main("spin", add);
}
