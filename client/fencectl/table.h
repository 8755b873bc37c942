// SPDX-License-Identifier: MIT
/*
 * Tables on a terminal, by libsmartcols. A table is as wide as the terminal at most: of 80 columns where there is none and COLUMNS
 * does not say. A column that says nothing is left out; what does not fit is left out too, or cut.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct table;

struct table_column {
	const char *name;
	int right; /* numbers */
	int drop; /* 0: always there; else those with the highest go first where there is no room */
	int zeros; /* it is shown only where a row has more than 0 */
};

/* NULL: no memory; the calls below accept that. The columns have to stay. */
struct table *table_create(const struct table_column *columns, size_t count);

/* One row: one string per column; copies them. */
void table_row(struct table *table, const char *const *cells, size_t count);

/* Print and free. Returns an exit status. */
int table_print(struct table *table);

/* The width that there is. */
size_t table_width(void);

/* Text that continues below itself, each line after `indent` spaces. Begins at that column. */
void text_wrap(const char *text, size_t indent);

/* A number as text, in one of a few buffers used in turn. The second is of milliseconds: "250 ms", "12 s", "3 h". */
const char *table_number(uint64_t number);
const char *table_age(uint64_t ms);
