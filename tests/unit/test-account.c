// SPDX-License-Identifier: MIT
#include "daemon/rules/account.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>

#include "tests/expect.h"
#include "tests/suite.h"

static struct account *account;
static uint64_t limits[ACCOUNT_RESOURCE_COUNT];

static void setup(void)
{
	ck_assert_int_eq(account_create(&account), 0);
	for (size_t i = 0; i < ACCOUNT_RESOURCE_COUNT; i++) {
		limits[i] = UINT64_MAX;
	}
}

static void teardown(void)
{
	account_destroy(account);
}

static struct user *user_of(uid_t uid)
{
	struct user *user = NULL;

	ck_assert_int_eq(account_user_ref(account, uid, limits, &user), 0);
	ck_assert_ptr_nonnull(user);
	return user;
}

START_TEST(table_complete)
{
	for (size_t i = 0; i < ACCOUNT_RESOURCE_COUNT; i++) {
		ck_assert_ptr_nonnull(account_limits[i].key);
		ck_assert_ptr_nonnull(account_limits[i].what);
		ck_assert_uint_gt(account_limits[i].per_user, 0);
		for (size_t j = 0; j < i; j++) {
			ck_assert_str_ne(account_limits[i].key, account_limits[j].key);
		}
	}
}
END_TEST

/* What exceeds a lower limit stays, and nothing is added until it is below. */
START_TEST(limits_set_anew)
{
	struct charge charge = { 0 };
	limits[ACCOUNT_FDS] = 5;
	struct user *user = user_of(1000);
	ck_assert_int_eq(charge_take(&charge, user, ACCOUNT_FDS, 5), 0);
	limits[ACCOUNT_FDS] = 3;
	user_set_limits(user, limits);
	ck_assert_uint_eq(user_limit(user, ACCOUNT_FDS), 3);
	ck_assert_uint_eq(user_usage(user, ACCOUNT_FDS), 5);
	ck_assert_int_eq(charge_grow(&charge, user, ACCOUNT_FDS, 1), -EDQUOT);
	charge_shrink(&charge, 2);
	ck_assert_int_eq(charge_grow(&charge, user, ACCOUNT_FDS, 1), -EDQUOT);
	charge_shrink(&charge, 1);
	ck_assert_int_eq(charge_grow(&charge, user, ACCOUNT_FDS, 1), 0);
	ck_assert_int_eq(charge_grow(&charge, user, ACCOUNT_FDS, 1), -EDQUOT);
	limits[ACCOUNT_FDS] = 4;
	user_set_limits(user, limits);
	ck_assert_int_eq(charge_grow(&charge, user, ACCOUNT_FDS, 1), 0);
	charge_release(&charge);
	user_unref(user);
}
END_TEST

START_TEST(users_found_by_uid)
{
	limits[ACCOUNT_FDS] = 5;
	struct user *a = user_of(1000);
	limits[ACCOUNT_FDS] = 6;
	struct user *b = user_of(1001);
	struct user *again = user_of(1000);

	ck_assert_ptr_eq(a, again);
	ck_assert_ptr_ne(a, b);
	ck_assert_uint_eq(user_uid(a), 1000);
	ck_assert_uint_eq(user_uid(b), 1001);
	/* The limits are those of the first time. */
	ck_assert_uint_eq(user_limit(a, ACCOUNT_FDS), 5);
	ck_assert_uint_eq(user_limit(b, ACCOUNT_FDS), 6);
	user_unref(a);
	user_unref(again);
	user_unref(b);
	a = user_of(1000);
	ck_assert_uint_eq(user_limit(a, ACCOUNT_FDS), 6);
	user_unref(a);
	user_unref(NULL);
}
END_TEST

START_TEST(many_users)
{
	static struct user *users[3000];

	/* Steps as of uid ranges for containers, so that buckets are shared. */
	for (uid_t i = 0; i < 3000; i++) {
		users[i] = user_of(i * 65536);
	}
	for (uid_t i = 0; i < 3000; i++) {
		struct user *user = user_of(i * 65536);

		ck_assert_ptr_eq(user, users[i]);
		user_unref(user);
	}
	for (size_t i = 0; i < 3000; i++) {
		user_unref(users[(i * 7) % 3000]);
	}
}
END_TEST

START_TEST(limit_is_exact)
{
	limits[ACCOUNT_DEVICES] = 256;
	struct user *user = user_of(1);
	struct charge most = { 0 };
	struct charge last = { 0 };
	struct charge more = { 0 };

	ck_assert_int_eq(charge_take(&most, user, ACCOUNT_DEVICES, 255), 0);
	ck_assert_int_eq(charge_take(&more, user, ACCOUNT_DEVICES, 2), -EDQUOT);
	ck_assert_ptr_null(more.user);
	ck_assert_uint_eq(user_usage(user, ACCOUNT_DEVICES), 255);
	ck_assert_uint_eq(account_total(account, ACCOUNT_DEVICES), 255);
	ck_assert_int_eq(charge_take(&last, user, ACCOUNT_DEVICES, 1), 0);
	ck_assert_uint_eq(user_usage(user, ACCOUNT_DEVICES), 256);
	ck_assert_int_eq(charge_take(&more, user, ACCOUNT_DEVICES, 1), -EDQUOT);
	/* Other resources and users are not affected. */
	ck_assert_int_eq(charge_take(&more, user, ACCOUNT_TOKENS, 1), 0);
	charge_release(&more);
	struct user *other = user_of(2);
	ck_assert_int_eq(charge_take(&more, other, ACCOUNT_DEVICES, 256), 0);
	ck_assert_uint_eq(account_total(account, ACCOUNT_DEVICES), 512);
	charge_release(&more);
	user_unref(other);
	charge_release(&last);
	ck_assert_int_eq(charge_take(&last, user, ACCOUNT_DEVICES, 1), 0);
	charge_release(&last);
	charge_release(&most);
	user_unref(user);
}
END_TEST

START_TEST(limit_zero_allows_nothing)
{
	limits[ACCOUNT_EXPORTS] = 0;
	struct user *user = user_of(1);
	struct charge charge = { 0 };

	ck_assert_int_eq(charge_take(&charge, user, ACCOUNT_EXPORTS, 1), -EDQUOT);
	ck_assert_int_eq(charge_take(&charge, user, ACCOUNT_EXPORTS, 0), 0);
	charge_release(&charge);
	user_unref(user);
}
END_TEST

START_TEST(no_overflow)
{
	struct user *user = user_of(1);
	struct user *other = user_of(2);
	struct charge charge = { 0 };
	struct charge more = { 0 };

	ck_assert_int_eq(charge_take(&charge, user, ACCOUNT_PAGE_BYTES, UINT64_MAX), 0);
	ck_assert_int_eq(charge_take(&more, user, ACCOUNT_PAGE_BYTES, 1), -EDQUOT);
	ck_assert_int_eq(charge_take(&more, user, ACCOUNT_PAGE_BYTES, UINT64_MAX), -EDQUOT);
	/* The other user's own limit would allow it; the sum of all would overflow. */
	ck_assert_int_eq(charge_take(&more, other, ACCOUNT_PAGE_BYTES, 1), -ENFILE);
	ck_assert_uint_eq(user_usage(other, ACCOUNT_PAGE_BYTES), 0);
	charge_release(&charge);
	ck_assert_int_eq(charge_take(&charge, user, ACCOUNT_PAGE_BYTES, UINT64_MAX - 1), 0);
	ck_assert_int_eq(charge_take(&more, other, ACCOUNT_PAGE_BYTES, 2), -ENFILE);
	ck_assert_int_eq(charge_take(&more, other, ACCOUNT_PAGE_BYTES, 1), 0);
	charge_release(&more);
	charge_release(&charge);
	user_unref(other);
	user_unref(user);
}
END_TEST

START_TEST(release_is_idempotent)
{
	struct user *user = user_of(1);
	struct charge a = { 0 };
	struct charge b = { 0 };

	charge_release(&a);
	ck_assert_int_eq(charge_take(&a, user, ACCOUNT_FDS, 3), 0);
	ck_assert_int_eq(charge_take(&b, user, ACCOUNT_FDS, 4), 0);
	charge_release(&a);
	charge_release(&a);
	ck_assert_uint_eq(user_usage(user, ACCOUNT_FDS), 4);
	ck_assert_uint_eq(account_total(account, ACCOUNT_FDS), 4);
	charge_release(&b);
	ck_assert_uint_eq(user_usage(user, ACCOUNT_FDS), 0);
	user_unref(user);
}
END_TEST

START_TEST(grows_and_shrinks)
{
	limits[ACCOUNT_HANDLES] = 3;
	struct user *user = user_of(1);
	struct charge charge = { 0 };

	for (uint64_t i = 1; i <= 3; i++) {
		ck_assert_int_eq(charge_grow(&charge, user, ACCOUNT_HANDLES, 1), 0);
		ck_assert_uint_eq(charge.amount, i);
		ck_assert_uint_eq(user_usage(user, ACCOUNT_HANDLES), i);
	}
	ck_assert_int_eq(charge_grow(&charge, user, ACCOUNT_HANDLES, 1), -EDQUOT);
	ck_assert_uint_eq(charge.amount, 3);
	charge_shrink(&charge, 2);
	ck_assert_uint_eq(user_usage(user, ACCOUNT_HANDLES), 1);
	ck_assert_uint_eq(account_total(account, ACCOUNT_HANDLES), 1);
	user_unref(user); /* the charge keeps it */
	ck_assert_int_eq(charge_grow(&charge, user, ACCOUNT_HANDLES, 2), 0);
	charge_shrink(&charge, 3);
	ck_assert_ptr_null(charge.user);
	ck_assert_uint_eq(account_total(account, ACCOUNT_HANDLES), 0);
	charge_shrink(&charge, 0);
}
END_TEST

START_TEST(charge_keeps_its_user)
{
	struct charge charge = { 0 };
	struct user *user = user_of(77);

	ck_assert_int_eq(charge_take(&charge, user, ACCOUNT_SESSIONS, 1), 0);
	user_unref(user);
	struct user *found = user_of(77);
	ck_assert_ptr_eq(found, charge.user);
	ck_assert_uint_eq(user_usage(found, ACCOUNT_SESSIONS), 1);
	user_unref(found);
	charge_release(&charge); /* the last reference: a sanitizer would find errors here */
}
END_TEST

START_TEST(ceiling_is_exact)
{
	/* A share is one: 64 users take one each without regard to fairness. */
	struct charge charges[65] = { 0 };

	account_set_ceiling(account, ACCOUNT_FDS, 64);
	for (uid_t i = 0; i < 65; i++) {
		struct user *user = user_of(i);

		ck_assert_int_eq(charge_take(&charges[i], user, ACCOUNT_FDS, 1),
				 i < 64 ? 0 : -ENFILE);
		user_unref(user);
	}
	ck_assert_uint_eq(account_total(account, ACCOUNT_FDS), 64);
	for (size_t i = 0; i < 65; i++) {
		charge_release(&charges[i]);
	}
}
END_TEST

/* One alone: ceiling 6400, share 100. It may hold n where n - 100 <= 6400 - n: 3250. */
START_TEST(one_user_gets_half)
{
	struct user *user = user_of(1);
	struct charge charge = { 0 };

	account_set_ceiling(account, ACCOUNT_FDS, 6400);
	ck_assert_int_eq(charge_take(&charge, user, ACCOUNT_FDS, 3251), -ENFILE);
	ck_assert_uint_eq(account_total(account, ACCOUNT_FDS), 0);
	ck_assert_int_eq(charge_take(&charge, user, ACCOUNT_FDS, 3250), 0);
	charge_release(&charge);
	user_unref(user);
}
END_TEST

/* Splitting it over several users gains nothing. */
START_TEST(one_by_one_is_the_same)
{
	static struct charge charges[3250];
	struct user *user = user_of(1);
	struct charge more = { 0 };

	account_set_ceiling(account, ACCOUNT_FDS, 6400);
	for (size_t i = 0; i < 3250; i++) {
		ck_assert_int_eq(charge_take(&charges[i], user, ACCOUNT_FDS, 1), 0);
	}
	ck_assert_int_eq(charge_take(&more, user, ACCOUNT_FDS, 1), -ENFILE);
	for (size_t i = 0; i < 3250; i++) {
		charge_release(&charges[i]);
	}
	user_unref(user);
}
END_TEST

/* The next may hold n where n - 100 <= 3150 - n: 1625, and what it takes bars the first from more;
 * a third within its share is served as long as there is anything. */
START_TEST(next_user_gets_half_of_the_rest)
{
	struct user *a = user_of(1);
	struct user *b = user_of(2);
	struct user *c = user_of(3);
	struct charge first = { 0 };
	struct charge second = { 0 };
	struct charge third = { 0 };

	account_set_ceiling(account, ACCOUNT_FDS, 6400);
	ck_assert_int_eq(charge_take(&first, a, ACCOUNT_FDS, 3250), 0);
	ck_assert_int_eq(charge_take(&second, b, ACCOUNT_FDS, 1626), -ENFILE);
	ck_assert_int_eq(charge_take(&second, b, ACCOUNT_FDS, 1625), 0);
	ck_assert_int_eq(charge_take(&third, a, ACCOUNT_FDS, 1), -ENFILE);
	ck_assert_int_eq(charge_take(&third, c, ACCOUNT_FDS, 100), 0);
	charge_release(&third);

	/* Once the second is gone, so is its effect on the first, which has kept its own. */
	ck_assert_uint_eq(user_usage(a, ACCOUNT_FDS), 3250);
	charge_release(&first);
	ck_assert_int_eq(charge_take(&first, a, ACCOUNT_FDS, 2438), -ENFILE);
	ck_assert_int_eq(charge_take(&first, a, ACCOUNT_FDS, 2437), 0);
	charge_release(&second);
	ck_assert_int_eq(charge_take(&second, a, ACCOUNT_FDS, 3250 - 2437), 0);
	charge_release(&second);
	charge_release(&first);
	user_unref(a);
	user_unref(b);
	user_unref(c);
}
END_TEST

START_TEST(share_is_exact)
{
	struct user *user = user_of(9);
	struct charge crowd[63] = { 0 };
	struct charge charge = { 0 };

	account_set_ceiling(account, ACCOUNT_FDS, 6400);
	for (uid_t i = 0; i < 63; i++) {
		struct user *other = user_of(100 + i);

		ck_assert_int_eq(charge_take(&crowd[i], other, ACCOUNT_FDS, 100), 0);
		user_unref(other);
	}
	/* 100 are left: exactly the share, all of which may be taken. */
	ck_assert_int_eq(charge_take(&charge, user, ACCOUNT_FDS, 101), -ENFILE);
	ck_assert_int_eq(charge_take(&charge, user, ACCOUNT_FDS, 100), 0);
	charge_release(&charge);
	for (size_t i = 0; i < 63; i++) {
		charge_release(&crowd[i]);
	}
	user_unref(user);
}
END_TEST

START_TEST(ceiling_lowered_below_total)
{
	struct user *user = user_of(1);
	struct charge charge = { 0 };
	struct charge more = { 0 };

	ck_assert_int_eq(charge_take(&charge, user, ACCOUNT_FDS, 1000), 0);
	account_set_ceiling(account, ACCOUNT_FDS, 999);
	ck_assert_int_eq(charge_take(&more, user, ACCOUNT_FDS, 1), -ENFILE);
	ck_assert_int_eq(charge_take(&more, user, ACCOUNT_FDS, UINT64_MAX - 1000), -ENFILE);
	charge_release(&charge);
	ck_assert_int_eq(charge_take(&more, user, ACCOUNT_FDS, 1), 0);
	charge_release(&more);
	user_unref(user);
}
END_TEST

START_TEST(limit_comes_before_ceiling)
{
	limits[ACCOUNT_FDS] = 10;
	struct user *user = user_of(1);
	struct charge charge = { 0 };

	account_set_ceiling(account, ACCOUNT_FDS, 5);
	ck_assert_int_eq(charge_take(&charge, user, ACCOUNT_FDS, 11), -EDQUOT);
	ck_assert_int_eq(charge_take(&charge, user, ACCOUNT_FDS, 10), -ENFILE);
	user_unref(user);
}
END_TEST

struct census {
	size_t users;
	uint64_t uid_sum;
	bool drop;
};

static void census_take(struct user *user, void *arg)
{
	struct census *census = arg;

	census->users++;
	census->uid_sum += user_uid(user);
	if (census->drop) {
		user_unref(user);
	}
}

START_TEST(foreach_sees_each_once)
{
	struct census census = { 0 };

	for (uid_t i = 1; i <= 1000; i++) {
		user_of(i);
	}
	account_foreach_user(account, census_take, &census);
	ck_assert_uint_eq(census.users, 1000);
	ck_assert_uint_eq(census.uid_sum, 500500);
	census = (struct census){ .drop = true };
	account_foreach_user(account, census_take, &census);
	ck_assert_uint_eq(census.users, 1000);
	census = (struct census){ 0 };
	account_foreach_user(account, census_take, &census);
	ck_assert_uint_eq(census.users, 0);
}
END_TEST

/* Random takes and releases, against a plain sum. */
START_TEST(random_balances)
{
	struct charge charges[256] = { 0 };
	uint64_t expected[4][2] = { 0 };
	struct user *users[4];
	unsigned int state = 12345;

	limits[ACCOUNT_FDS] = 900;
	account_set_ceiling(account, ACCOUNT_FDS, 2000);
	for (uid_t i = 0; i < 4; i++) {
		users[i] = user_of(i);
	}
	for (int turn = 0; turn < 20000; turn++) {
		state = state * 1103515245 + 12345;
		struct charge *charge = &charges[(state >> 8) % 256];
		size_t who = (state >> 16) % 4;
		size_t what = (state >> 18) % 2;
		uint64_t amount = (state >> 20) % 64;

		if (charge->user) {
			expected[user_uid(charge->user)][charge->resource == ACCOUNT_FDS] -=
				charge->amount;
			charge_release(charge);
		} else if (charge_take(charge, users[who], what ? ACCOUNT_FDS : ACCOUNT_WATCHES,
				       amount) == 0) {
			expected[who][what] += amount;
		}
		uint64_t sum = 0;

		for (size_t i = 0; i < 4; i++) {
			EXPECT(user_usage(users[i], ACCOUNT_FDS) == expected[i][1]);
			EXPECT(user_usage(users[i], ACCOUNT_WATCHES) == expected[i][0]);
			EXPECT(expected[i][1] <= 900);
			sum += expected[i][1];
		}
		EXPECT(account_total(account, ACCOUNT_FDS) == sum);
		EXPECT(sum <= 2000);
	}
	for (size_t i = 0; i < 256; i++) {
		charge_release(&charges[i]);
	}
	for (size_t i = 0; i < 4; i++) {
		user_unref(users[i]);
	}
}
END_TEST

START_TEST(destroy_takes_null)
{
	account_destroy(NULL);
}
END_TEST

#ifndef NDEBUG
START_TEST(unbalanced_is_noticed)
{
	struct user *user = user_of(1);
	struct charge charge = { 0 };

	ck_assert_int_eq(charge_take(&charge, user, ACCOUNT_FDS, 1), 0);
	user_unref(user);
	account_destroy(account);
}
END_TEST

START_TEST(taking_twice_is_noticed)
{
	struct user *user = user_of(1);
	struct charge charge = { 0 };

	ck_assert_int_eq(charge_take(&charge, user, ACCOUNT_FDS, 1), 0);
	charge_take(&charge, user, ACCOUNT_FDS, 1);
}
END_TEST

START_TEST(growing_as_another_is_noticed)
{
	struct user *user = user_of(1);
	struct charge charge = { 0 };

	charge_grow(&charge, user, ACCOUNT_FDS, 1);
	charge_grow(&charge, user, ACCOUNT_TOKENS, 1);
}
END_TEST

START_TEST(shrinking_too_far_is_noticed)
{
	struct user *user = user_of(1);
	struct charge charge = { 0 };

	charge_grow(&charge, user, ACCOUNT_FDS, 1);
	charge_shrink(&charge, 2);
}
END_TEST

static void add_assertion_tests(TCase *tcase)
{
	tcase_add_test_raise_signal(tcase, unbalanced_is_noticed, SIGABRT);
	tcase_add_test_raise_signal(tcase, taking_twice_is_noticed, SIGABRT);
	tcase_add_test_raise_signal(tcase, growing_as_another_is_noticed, SIGABRT);
	tcase_add_test_raise_signal(tcase, shrinking_too_far_is_noticed, SIGABRT);
}
#else
static void add_assertion_tests(TCase *tcase)
{
	(void)tcase;
}
#endif

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, table_complete);
	tcase_add_test(tcase, limits_set_anew);
	tcase_add_test(tcase, users_found_by_uid);
	tcase_add_test(tcase, many_users);
	tcase_add_test(tcase, limit_is_exact);
	tcase_add_test(tcase, limit_zero_allows_nothing);
	tcase_add_test(tcase, no_overflow);
	tcase_add_test(tcase, release_is_idempotent);
	tcase_add_test(tcase, grows_and_shrinks);
	tcase_add_test(tcase, charge_keeps_its_user);
	tcase_add_test(tcase, ceiling_is_exact);
	tcase_add_test(tcase, one_user_gets_half);
	tcase_add_test(tcase, one_by_one_is_the_same);
	tcase_add_test(tcase, next_user_gets_half_of_the_rest);
	tcase_add_test(tcase, share_is_exact);
	tcase_add_test(tcase, ceiling_lowered_below_total);
	tcase_add_test(tcase, limit_comes_before_ceiling);
	tcase_add_test(tcase, foreach_sees_each_once);
	tcase_add_test(tcase, random_balances);
	tcase_add_test(tcase, destroy_takes_null);
	add_assertion_tests(tcase);
}

int main(void)
{
	return suite_main("account", add);
}
