// SPDX-License-Identifier: MIT
#include "client/fencectl/table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/suite.h"

static const struct table_column columns[] = { { "NAME", 0 }, { "COUNT", 1 }, { "WHY", 0 } };
#define COLUMNS (sizeof(columns) / sizeof(columns[0]))

/* The output of table_print(), and its status. */
static int print(struct libscols_table *table, char *ret_text, size_t size)
{
	FILE *file = tmpfile();
	int out = dup(STDOUT_FILENO);
	fflush(stdout);
	dup2(fileno(file), STDOUT_FILENO);
	int status = table_print(table);
	fflush(stdout);
	dup2(out, STDOUT_FILENO);
	close(out);
	rewind(file);
	size_t got = fread(ret_text, 1, size - 1, file);
	ret_text[got] = '\0';
	fclose(file);
	return status;
}

START_TEST(rows)
{
	char text[512];
	char name[8] = "first";
	struct libscols_table *table = table_create(columns, COLUMNS);
	const char *row[] = { name, table_number(7), "a sentence of words" };
	ck_assert_ptr_nonnull(table);
	table_row(table, row, COLUMNS);
	strcpy(name, "second"); /* the first was copied */
	row[1] = table_number(12345);
	row[2] = "";
	table_row(table, row, COLUMNS);
	ck_assert_int_eq(print(table, text, sizeof(text)), EXIT_SUCCESS);
	ck_assert_ptr_nonnull(strstr(text, "NAME   COUNT WHY"));
	ck_assert_ptr_nonnull(strstr(text, "first      7 a sentence of words"));
	ck_assert_ptr_nonnull(strstr(text, "second 12345"));
}
END_TEST

START_TEST(no_table)
{
	char text[64];
	const char *row[] = { "a", "b", "c" };
	table_row(NULL, row, COLUMNS);
	ck_assert_int_eq(print(NULL, text, sizeof(text)), EXIT_FAILURE);
	ck_assert_str_eq(text, "");
}
END_TEST

/* A row of a table uses several of them at once. */
START_TEST(numbers)
{
	const char *texts[8];
	char expected[24];
	ck_assert_str_eq(table_number(0), "0");
	ck_assert_str_eq(table_number(UINT64_MAX), "18446744073709551615");
	for (unsigned int round = 0; round < 100; round++) {
		for (unsigned int i = 0; i < 8; i++) {
			texts[i] = table_number(round * 1000 + i);
		}
		for (unsigned int i = 0; i < 8; i++) {
			snprintf(expected, sizeof(expected), "%u", round * 1000 + i);
			ck_assert_str_eq(texts[i], expected);
		}
	}
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_test(tcase, rows);
	tcase_add_test(tcase, no_table);
	tcase_add_test(tcase, numbers);
}

int main(void)
{
	return suite_main("table", add);
}
