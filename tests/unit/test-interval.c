// SPDX-License-Identifier: MIT
/* The interval by which fence-bench --against judges: ranks as in printed tables, and what it makes of
 * differences whose answer is known. */
#include <errno.h>
#include <math.h>

#include "tests/bench/interval.h"
#include "tests/suite.h"

#define COUNT 20

/* One more than the critical value of Wilcoxon's signed-rank test, two-sided, 5 %. */
START_TEST(ranks)
{
	static const struct {
		size_t count, rank;
	} known[] = {
		{ 6, 1 }, { 7, 3 }, { 8, 4 }, { 10, 9 }, { 15, 26 }, { 20, 53 }, { 30, 138 }
	};
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		ck_assert_uint_eq(interval_rank(known[i].count), known[i].rank);
	}
}
END_TEST

START_TEST(bounds)
{
	static double differences[INTERVAL_COUNT_MAX + 1];
	struct interval interval;
	ck_assert_int_eq(interval_of(differences, INTERVAL_COUNT_MIN - 1, &interval), -EINVAL);
	ck_assert_int_eq(interval_of(differences, INTERVAL_COUNT_MIN, &interval), 0);
	ck_assert_int_eq(interval_of(differences, INTERVAL_COUNT_MAX, &interval), 0);
	ck_assert_int_eq(interval_of(differences, INTERVAL_COUNT_MAX + 1, &interval), -EINVAL);
}
END_TEST

/* With the fewest, nothing but all of them gives 95 %. */
START_TEST(fewest)
{
	static const double differences[] = { 3, -1, 2, 5, 4, 1 };
	struct interval interval;
	ck_assert_int_eq(interval_of(differences, 6, &interval), 0);
	ck_assert_double_eq(interval.low, -1);
	ck_assert_double_eq(interval.high, 5);
	ck_assert_double_eq_tol(interval.estimate, 2.5, 1e-9);
}
END_TEST

START_TEST(same)
{
	static const double differences[COUNT];
	struct interval interval;
	ck_assert_int_eq(interval_of(differences, COUNT, &interval), 0);
	ck_assert_double_eq(interval.low, 0);
	ck_assert_double_eq(interval.estimate, 0);
	ck_assert_double_eq(interval.high, 0);
}
END_TEST

/* Three pairs of twenty that a busy machine spoilt do not hide a difference of 10 %, nor make one. */
START_TEST(spoilt)
{
	double alike[COUNT], slower[COUNT];
	struct interval interval;
	for (int i = 0; i < COUNT; i++) {
		alike[i] = (i % 2 ? 1 : -1) * 0.001 * i;
		slower[i] = log(1.1) + alike[i];
	}
	for (int i = 0; i < 3; i++) {
		alike[i] = log(5);
		slower[i] = -log(5);
	}
	ck_assert_int_eq(interval_of(alike, COUNT, &interval), 0);
	ck_assert_double_le(interval.low, 0);
	ck_assert_double_ge(interval.high, 0);
	ck_assert_double_le(interval.estimate, 0.02);
	ck_assert_int_eq(interval_of(slower, COUNT, &interval), 0);
	ck_assert_double_ge(interval.estimate, 0.08);
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_test(tcase, ranks);
	tcase_add_test(tcase, bounds);
	tcase_add_test(tcase, fewest);
	tcase_add_test(tcase, same);
	tcase_add_test(tcase, spoilt);
}

int main(void)
{
	return suite_main("interval", add);
}
