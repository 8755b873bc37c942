// SPDX-License-Identifier: MIT
#include "forge.h"

#include <stdio.h>
#include <string.h>

#include "logs.h"
#include "tests/integration/lib-daemon.h"

#define RECORDS 64 /* of an instance, at most */

struct journal forge_journals[FORGE_JOURNALS];
static const char *directory;
static const struct forge_suite *suite;

void forge_begin(uint32_t count)
{
	EXPECT(count <= FORGE_JOURNALS);
	directory = logs_create(NULL, 0);
	for (uint32_t i = 0; i < count; i++) {
		EXPECT(journal_create(&forge_journals[i], directory, i, i, RECORDS) == 0);
	}
}

static void forge_end(void)
{
	logs_remove();
	for (unsigned int i = 0; i < FORGE_JOURNALS; i++) {
		journal_finish(&forge_journals[i]);
	}
}

struct record *forge_record(struct journal *journal, unsigned int kind, uint64_t value,
			    uint64_t begin, uint64_t end, int result)
{
	struct record *record = journal_take(journal, 1);
	EXPECT(record);
	record->value = value;
	record->begin = begin;
	record->result = result;
	forge_set_end(record, end);
	record_publish(record, kind);
	return record;
}

void forge_set_end(struct record *record, uint64_t end)
{
	/* relaxed: one thread */
	atomic_store_explicit(&record->end, end, memory_order_relaxed);
}

/* The findings after the lie are those that belong to it, and no others. */
static void lie_judge(const struct forge_lie *lie)
{
	const struct judge *judge = suite->judge;
	struct history history = { 0 };
	struct verdict verdict;
	lie->lie();
	EXPECT(history_load(&history, directory) == 0);
	EXPECT(history_judge(&history, judge, &verdict) == 0);
	history_free(&history);
	for (unsigned int i = 0; i < judge->kind_count; i++) {
		bool expected = lie->findings & 1U << i;
		ck_assert_msg((verdict.findings[i] > 0) == expected, "%s: %s %s", lie->name,
			      judge->kinds[i].name, expected ? "was not found" : "was found");
	}
}

START_TEST(seeded_bug_is_found)
{
	const struct forge_lie *bug = &suite->bugs[_i];
	ck_assert_uint_ne(bug->findings, 0);
	lie_judge(bug);
	printf("%s: found\n", bug->name);
}
END_TEST

START_TEST(excuse_is_taken)
{
	const struct forge_lie *excuse = &suite->excuses[_i];
	ck_assert_uint_eq(excuse->findings, 0);
	lie_judge(excuse);
}
END_TEST

static void add_tests(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, suite->setup, forge_end);
	tcase_add_loop_test(tcase, seeded_bug_is_found, 0, suite->bug_count);
	tcase_add_loop_test(tcase, excuse_is_taken, 0, suite->excuse_count);
}

int forge_main(const struct forge_suite *the_suite)
{
	suite = the_suite;
	return suite_main(suite->name, add_tests);
}
