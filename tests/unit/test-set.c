// SPDX-License-Identifier: MIT
#include "daemon/core/set.h"

#include <errno.h>

#include "daemon/core/registry.h"
#include "daemon/core/device.h"
#include "tests/suite.h"

#define SIZE  4096
#define SLOTS 31 /* of a page of that size */

static struct registry registry;
static struct user *user;
static struct device first, second;

static void setup(void)
{
	uint64_t limits[ACCOUNT_RESOURCE_COUNT];
	for (size_t i = 0; i < ACCOUNT_RESOURCE_COUNT; i++) {
		limits[i] = account_limits[i].per_user;
	}
	registry = (struct registry){ .next_id = 0 };
	first = (struct device){ .id = 101, .page_align = 4096 };
	second = (struct device){ .id = 102, .page_align = 65536 };
	ck_assert_int_eq(account_create(&registry.account), 0);
	ck_assert_int_eq(account_user_ref(registry.account, 1000, limits, &user), 0);
}

static void teardown(void)
{
	ck_assert_uint_eq(account_total(registry.account, ACCOUNT_PAGE_BYTES), 0);
	ck_assert_uint_eq(account_total(registry.account, ACCOUNT_FDS), 0);
	user_unref(user);
	account_destroy(registry.account);
}

static struct set *made(void)
{
	struct set *set;
	ck_assert_int_eq(set_create(&registry, user, SIZE, &set), 0);
	return set;
}

static struct set_slot taken(struct set *set, const struct device *device)
{
	struct set_slot slot;
	ck_assert_int_eq(set_slot_take(set, &registry, user, device, &slot), 0);
	return slot;
}

START_TEST(created)
{
	struct set *set = made();
	ck_assert_uint_eq(set->refs, 1);
	ck_assert_uint_eq(set->control->kind, FBK_PAGE_CONTROL);
	ck_assert_uint_eq(set->control->slots, SLOTS);
	ck_assert_ptr_null(set->daemon);
	ck_assert_uint_eq(user_usage(user, ACCOUNT_FDS), 1); /* pages without a user are not made */
	const struct fbk_page_header *header = set->control->memory;
	ck_assert_uint_eq(header->set_id, set->id);
	ck_assert_uint_ne(set->id, set->control->id);
	set_unref(set);
	set_unref(NULL);
}
END_TEST

/* One control page for all; a payload page has one writer. */
START_TEST(pages_by_writer)
{
	struct set *set = made();
	struct set_slot a = taken(set, &first);
	struct set_slot b = taken(set, &second);
	struct set_slot c = taken(set, NULL);
	struct set_slot d = taken(set, &first);
	struct set_slot e = taken(set, NULL);
	ck_assert_uint_eq(a.page->kind, FBK_PAGE_PAYLOAD);
	ck_assert_uint_eq(a.page->size, SIZE);
	ck_assert_uint_eq(b.page->size, 65536); /* what its device can import */
	ck_assert_uint_eq(c.page->kind, FBK_PAGE_DAEMON);
	ck_assert_ptr_eq(c.page, set->daemon);
	ck_assert_ptr_ne(a.page, b.page);
	ck_assert_ptr_eq(a.page, d.page);
	ck_assert_ptr_eq(c.page, e.page);
	ck_assert_uint_eq(a.payload, 0);
	ck_assert_uint_eq(b.payload, 0);
	ck_assert_uint_eq(d.payload, 1);
	ck_assert_uint_eq(e.payload, 1);
	struct set_slot all[] = { a, b, c, d, e };
	for (uint32_t i = 0; i < 5; i++) {
		ck_assert_uint_eq(all[i].control, i);
	}
	ck_assert_uint_eq(set->refs, 6);
	for (int i = 0; i < 6; i++) {
		set_unref(set);
	}
}
END_TEST

/* A set fills to its last slot; ended timelines do not make room, since they may still be read. */
START_TEST(full)
{
	struct set *set = made();
	struct set_slot slot;
	for (uint32_t i = 0; i < SLOTS; i++) {
		slot = taken(set, i % 2 ? &first : NULL);
		ck_assert_uint_eq(slot.control, i);
		ck_assert_uint_eq(slot.payload, i / 2);
	}
	ck_assert_int_eq(set_slot_take(set, &registry, user, &first, &slot), -ENOSPC);
	ck_assert_int_eq(set_slot_take(set, &registry, user, NULL, &slot), -ENOSPC);
	ck_assert_uint_eq(set->refs, 1 + SLOTS);
	set_unref(set);
	ck_assert_int_eq(set_slot_take(set, &registry, user, &first, &slot), -ENOSPC);
	for (uint32_t i = 0; i < SLOTS; i++) {
		set_unref(set);
	}
}
END_TEST

/* It lives as long as the last of its timelines. */
START_TEST(referenced)
{
	struct set *set = made();
	struct set_slot slot = taken(set, &first);
	set_unref(set);
	ck_assert_uint_eq(user_usage(user, ACCOUNT_FDS), 2);
	ck_assert_uint_eq(((struct fbk_page_header *)slot.page->memory)->set_id, set->id);
	set_unref(set);
	ck_assert_uint_eq(user_usage(user, ACCOUNT_FDS), 0);
}
END_TEST

/* No room for the payload page: no slot is lost, and no reference. */
START_TEST(refused)
{
	uint64_t limits[ACCOUNT_RESOURCE_COUNT] = {
		[ACCOUNT_PAGE_BYTES] = 2 * SIZE, [ACCOUNT_FDS] = 10
	};
	struct user *poor;
	struct set *set;
	struct set_slot slot;
	ck_assert_int_eq(account_user_ref(registry.account, 1001, limits, &poor), 0);
	ck_assert_int_eq(set_create(&registry, poor, 3 * SIZE, &set), -EDQUOT);
	ck_assert_int_eq(set_create(&registry, poor, SIZE, &set), 0);
	ck_assert_int_eq(set_slot_take(set, &registry, poor, &second, &slot), -EDQUOT);
	ck_assert_int_eq(set_slot_take(set, &registry, poor, &first, &slot), 0);
	ck_assert_uint_eq(slot.control, 0);
	ck_assert_int_eq(set_slot_take(set, &registry, poor, NULL, &slot), -EDQUOT);
	ck_assert_uint_eq(set->refs, 2);
	ck_assert_uint_eq(user_usage(poor, ACCOUNT_PAGE_BYTES), 2 * SIZE);
	set_unref(set);
	set_unref(set);
	ck_assert_uint_eq(user_usage(poor, ACCOUNT_PAGE_BYTES), 0);
	user_unref(poor);
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, created);
	tcase_add_test(tcase, pages_by_writer);
	tcase_add_test(tcase, full);
	tcase_add_test(tcase, referenced);
	tcase_add_test(tcase, refused);
}

int main(void)
{
	return suite_main("set", add);
}
