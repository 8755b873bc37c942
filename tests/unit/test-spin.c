// SPDX-License-Identifier: MIT
/* What a timeline learns about how long to look: as numbers, without a clock. */
#include "client/lib/spin.h"

#include <check.h>
#include <stdlib.h>

#define MAX_NS 10000

static struct spin spin;

static void setup(void)
{
	spin = (struct spin){ 0 };
}

/* Waits whose points come after `ns`. Returns the time spent looking in vain. */
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
	}
	return wasted;
}

START_TEST(off)
{
	ck_assert_uint_eq(spin_budget(&spin, 0), 0);
}
END_TEST

/* Sooner than policy's bound: looked for each time, and not much longer than it usually takes. */
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

/* Later than the bound: hardly ever looked for. */
START_TEST(late)
{
	unsigned int slept;
	uint64_t wasted = waits(10000, MAX_NS + 1, &slept);
	ck_assert_uint_eq(slept, 10000);
	ck_assert_uint_lt(wasted, UINT64_C(60) * MAX_NS);
}
END_TEST

/* From late to soon and back: found out within some hundred waits. */
START_TEST(changing)
{
	unsigned int slept;
	waits(10000, 3 * MAX_NS, &slept);
	waits(300, 2000, &slept);
	waits(100, 2000, &slept);
	ck_assert_uint_eq(slept, 0);
	uint64_t wasted = waits(100, 3 * MAX_NS, &slept);
	ck_assert_uint_eq(slept, 100);
	ck_assert_uint_lt(wasted, UINT64_C(10) * MAX_NS);
}
END_TEST

/* One late point among many that come soon does not stop it. */
START_TEST(outlier)
{
	unsigned int slept;
	waits(100, 1000, &slept);
	waits(1, 1000000, &slept);
	waits(100, 1000, &slept);
	ck_assert_uint_eq(slept, 0);
}
END_TEST

/* Taken off the CPU while looking: not tried again for long. */
START_TEST(preempted)
{
	unsigned int slept;
	waits(100, 1000, &slept);
	spin_learn(&spin, 5000, 4000000, true);
	for (int i = 0; i < 256; i++) {
		ck_assert_uint_eq(spin_budget(&spin, MAX_NS), 0);
	}
	ck_assert_uint_gt(spin_budget(&spin, MAX_NS), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("spin");
	TCase *tcase = tcase_create("spin");
	tcase_add_checked_fixture(tcase, setup, NULL);
	tcase_add_test(tcase, off);
	tcase_add_test(tcase, soon);
	tcase_add_test(tcase, late);
	tcase_add_test(tcase, changing);
	tcase_add_test(tcase, outlier);
	tcase_add_test(tcase, preempted);
	suite_add_tcase(suite, tcase);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	int failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
