// SPDX-License-Identifier: MIT
#include "client/fencectl/table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/suite.h"

static const struct table_column columns[] = {
	{ .name = "NAME" },
	{ .name = "COUNT", .right = 1 },
	{ .name = "MORE", .right = 1, .drop = 1, .zeros = 1 },
	{ .name = "LESS", .drop = 2 },
	{ .name = "WHY" },
};
#define COLUMNS (sizeof(columns) / sizeof(columns[0]))

/* The output of table_print(), and its status. */
static int print(struct table *table, char *ret_text, size_t size)
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
	struct table *table = table_create(columns, COLUMNS);
	const char *row[] = { name, table_number(7), "0", "", "a sentence of words" };
	ck_assert_ptr_nonnull(table);
	table_row(table, row, COLUMNS);
	strcpy(name, "second"); /* the first was copied */
	row[1] = table_number(12345);
	row[4] = "";
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
	const char *row[] = { "a", "b", "c", "d", "e" };
	table_row(NULL, row, COLUMNS);
	ck_assert_int_eq(print(NULL, text, sizeof(text)), EXIT_FAILURE);
	ck_assert_str_eq(text, "");
}
END_TEST

static size_t lines_expect(char *text, size_t width)
{
	size_t lines = 0;
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		ck_assert_msg(strlen(line) <= width, "more than %zu: %s", width, line);
		lines++;
	}
	return lines;
}

static void print_wide(const char *width, char *ret_text, size_t size)
{
	static const char name[] = "a-name-of-thirty-one-characters";
	static const char why[] = "one sentence with many words, so that it has to go on in the "
				  "next line, and in the one after that";
	struct table *table = table_create(columns, COLUMNS);
	const char *row[] = { name, table_number(UINT64_MAX), "12", "some more text", why };
	table_row(table, row, COLUMNS);
	setenv("COLUMNS", width, 1);
	ck_assert_int_eq(print(table, ret_text, size), EXIT_SUCCESS);
	unsetenv("COLUMNS");
}

/* What does not fit: the last column wraps between words, texts are cut, then columns go, the highest first. */
START_TEST(widths)
{
	char text[2048], whole[2048];
	print_wide("250", text, sizeof(text));
	ck_assert_ptr_nonnull(strstr(text, "NAME"));
	ck_assert_ptr_nonnull(strstr(text, "LESS"));
	ck_assert_uint_eq(lines_expect(text, 250), 2);

	print_wide("100", text, sizeof(text));
	strcpy(whole, text);
	ck_assert_ptr_nonnull(strstr(text, "LESS"));
	ck_assert_ptr_nonnull(strstr(text, "one sentence"));
	ck_assert_uint_gt(lines_expect(text, 100), 2);

	print_wide("55", text, sizeof(text));
	ck_assert_ptr_null(strstr(text, "LESS"));
	ck_assert_ptr_nonnull(strstr(text, "MORE"));
	ck_assert_ptr_nonnull(strstr(text, ".. "));
	ck_assert_ptr_nonnull(strstr(text, "18446744073709551615"));
	lines_expect(text, 55);
	print_wide("1", text, sizeof(text)); /* 40 at least */
	lines_expect(text, 60);
}
END_TEST

START_TEST(ages)
{
	static const struct {
		uint64_t ms;
		const char *text;
	} cases[] = {
		{ 0, "0 ms" },        { 9999, "9999 ms" },
		{ 10000, "10 s" },    { 599999, "599 s" },
		{ 600000, "10 min" }, { 35999999, "599 min" },
		{ 36000000, "10 h" }, { 345599999, "95 h" },
		{ 345600000, "4 d" }, { UINT64_MAX, "213503982334 d" },
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ck_assert_str_eq(table_age(cases[i].ms), cases[i].text);
	}
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
	tcase_add_test(tcase, widths);
	tcase_add_test(tcase, ages);
	tcase_add_test(tcase, numbers);
}

int main(void)
{
	return suite_main("table", add);
}
