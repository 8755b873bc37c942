// SPDX-License-Identifier: MIT
/* The queue to somebody who may not read: what fits, what is dropped, and how it ends. */
#include <semaphore.h>
#include <stdio.h>
#include <string.h>

#include "../suite.h"
#include "daemon/base/clock.h"
#include "daemon/base/outlet.h"
#include "proto/container.h"

#define CAPACITY 4
#define FAR_NS   (60 * NS_PER_S)

struct number {
	struct outlet_entry entry;
	unsigned int value;
};

static struct number numbers[CAPACITY];
static sem_t may_write, writes; /* one for each entry; the reader began to */
static char told[256];          /* what was written; the outlet's thread's, until outlet_finish() */

static void number_write(const struct outlet_entry *entry)
{
	sem_post(&writes);
	sem_wait(&may_write);
	snprintf(told + strlen(told), sizeof(told) - strlen(told), "%u ",
		 container_of(entry, const struct number, entry)->value);
}

static void number_gap(unsigned int lost)
{
	snprintf(told + strlen(told), sizeof(told) - strlen(told), "(%u) ", lost);
}

static struct outlet outlet = {
	.thread_name = "test-outlet",
	.ring = numbers,
	.entry_size = sizeof(*numbers),
	.capacity = CAPACITY,
	.write = number_write,
	.gap = number_gap,
	OUTLET_INIT,
};

static void setup(void)
{
	sem_init(&may_write, 0, 0);
	sem_init(&writes, 0, 0);
	told[0] = '\0';
}

static bool put(unsigned int value)
{
	struct number *number = outlet_begin(&outlet);
	if (number) {
		number->value = value;
		outlet_commit(&outlet);
	}
	return number;
}

static void allow(unsigned int count)
{
	for (unsigned int i = 0; i < count; i++) {
		sem_post(&may_write);
	}
}

START_TEST(in_order)
{
	allow(100);
	for (unsigned int i = 0; i < 3; i++) {
		ck_assert(put(i));
	}
	outlet_finish(&outlet, FAR_NS);
	ck_assert_str_eq(told, "0 1 2 ");
	ck_assert_uint_eq(outlet_dropped(&outlet), 0);
}
END_TEST

/* The one that is being written counts; the gap is told in its place, also where it is the last. */
START_TEST(bounded)
{
	for (unsigned int i = 0; i < CAPACITY; i++) {
		ck_assert(put(i));
	}
	sem_wait(&writes); /* the first */
	ck_assert(!put(100));
	ck_assert(!put(101));
	allow(1);
	sem_wait(&writes); /* the second: so the first is off */
	ck_assert(put(CAPACITY));
	ck_assert(!put(102));
	ck_assert_uint_eq(outlet_dropped(&outlet), 3);
	allow(CAPACITY);
	outlet_finish(&outlet, FAR_NS);
	ck_assert_str_eq(told, "0 1 2 3 (2) 4 (1) ");
}
END_TEST

/* Who does not read is not waited for; if it reads after all, it gets everything. */
START_TEST(ends_late)
{
	ck_assert(put(1));
	outlet_finish(&outlet, 1);
	ck_assert(put(2));
	outlet_finish(&outlet, 1);
	allow(3);
	outlet_finish(&outlet, FAR_NS);
	ck_assert_str_eq(told, "1 2 ");
	ck_assert(put(3)); /* by another thread */
	outlet_finish(&outlet, FAR_NS);
	ck_assert_str_eq(told, "1 2 3 ");
	outlet_finish(&outlet, FAR_NS); /* there is none */
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, NULL);
	tcase_add_test(tcase, in_order);
	tcase_add_test(tcase, bounded);
	tcase_add_test(tcase, ends_late);
}

int main(void)
{
	return suite_main("outlet", add);
}
