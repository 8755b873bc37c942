// SPDX-License-Identifier: MIT
/* Tables on a terminal, by libsmartcols. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct libscols_table;

struct table_column {
	const char *name;
	int right; /* numbers */
};

/* NULL: no memory; the calls below accept that. */
struct libscols_table *table_create(const struct table_column *columns, size_t count);

/* One row: one string per column; copies them. */
void table_row(struct libscols_table *table, const char *const *cells, size_t count);

/* Print and free. Returns an exit status. */
int table_print(struct libscols_table *table);

/* A number as text, in one of a few buffers used in turn. */
const char *table_number(uint64_t number);
