// SPDX-License-Identifier: MIT
#include "table.h"

#include <libsmartcols.h>
#include <stdio.h>
#include <stdlib.h>

#define NUMBERS 32

struct libscols_table *table_create(const struct table_column *columns, size_t count)
{
	struct libscols_table *table = scols_new_table();
	for (size_t i = 0; table && i < count; i++) {
		int flags = columns[i].right ? SCOLS_FL_RIGHT : 0;
		/* The last column, a sentence, wraps on a narrow terminal. */
		if (i + 1 == count && !columns[i].right) {
			flags |= SCOLS_FL_WRAP;
		}
		scols_table_new_column(table, columns[i].name, 0, flags);
	}
	return table;
}

void table_row(struct libscols_table *table, const char *const *cells, size_t count)
{
	struct libscols_line *line = table ? scols_table_new_line(table, NULL) : NULL;
	for (size_t i = 0; line && i < count; i++) {
		scols_line_set_data(line, i, cells[i]);
	}
}

int table_print(struct libscols_table *table)
{
	if (!table) {
		return EXIT_FAILURE;
	}
	int r = scols_print_table(table);
	scols_unref_table(table);
	return r == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

const char *table_number(uint64_t number)
{
	static char texts[NUMBERS][24];
	static size_t next;
	char *text = texts[next++ % NUMBERS];
	snprintf(text, sizeof(texts[0]), "%llu", (unsigned long long)number);
	return text;
}
