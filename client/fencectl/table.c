// SPDX-License-Identifier: MIT
#include "table.h"

#include <libsmartcols.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define NUMBERS     32
#define WIDTH       80 /* of what is no terminal */
#define WIDTH_MIN   40
#define COLUMNS_MAX 24
#define TEXT_MIN    12 /* a cell with text is not cut below this */
#define LAST_MIN    16 /* nor is the last one, which wraps */

struct table {
	const struct table_column *columns;
	size_t column_count;
	char ***rows; /* each with `column_count` cells */
	size_t row_count, room;
	bool failed;
};

struct table *table_create(const struct table_column *columns, size_t count)
{
	struct table *table = count <= COLUMNS_MAX ? calloc(1, sizeof(*table)) : NULL;
	if (table) {
		table->columns = columns;
		table->column_count = count;
	}
	return table;
}

static int table_grow(struct table *table)
{
	if (table->row_count < table->room) {
		return 0;
	}
	size_t room = table->room ? table->room * 2 : 32;
	char ***rows = reallocarray(table->rows, room, sizeof(*rows));
	if (!rows) {
		return -1;
	}
	table->rows = rows;
	table->room = room;
	return 0;
}

void table_row(struct table *table, const char *const *cells, size_t count)
{
	if (!table || table->failed) {
		return;
	}
	char **row = calloc(table->column_count, sizeof(*row));
	table->failed = !row || table_grow(table) < 0;
	if (table->failed) {
		free(row);
		return;
	}
	table->rows[table->row_count++] = row;
	for (size_t i = 0; i < count; i++) {
		row[i] = strdup(cells[i]);
		table->failed = table->failed || !row[i];
	}
}

static void table_free(struct table *table)
{
	for (size_t i = 0; i < table->row_count; i++) {
		for (size_t j = 0; j < table->column_count; j++) {
			free(table->rows[i][j]);
		}
		free(table->rows[i]);
	}
	free(table->rows);
	free(table);
}

size_t table_width(void)
{
	struct winsize size = { 0 };
	const char *columns = getenv("COLUMNS");
	size_t width = WIDTH;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
		width = size.ws_col;
	} else if (columns && atoi(columns) > 0) {
		width = (size_t)atoi(columns);
	}
	return width < WIDTH_MIN ? WIDTH_MIN : width;
}

/* ------------------------------------------------------------------------------ which columns -- */

/* Names are ASCII, and so is what the daemon says. */
static size_t column_width(const struct table *table, size_t column)
{
	size_t width = strlen(table->columns[column].name);
	for (size_t i = 0; i < table->row_count; i++) {
		size_t length = strlen(table->rows[i][column]);
		width = length > width ? length : width;
	}
	return width;
}

/* The least that it can do with. */
static size_t column_least(const struct table *table, size_t column)
{
	size_t width = column_width(table, column);
	size_t name = strlen(table->columns[column].name);
	size_t least = column + 1 == table->column_count ? LAST_MIN : TEXT_MIN;
	if (table->columns[column].right || width <= least) {
		return width;
	}
	return name > least ? name : least;
}

static bool column_says(const struct table *table, size_t column)
{
	bool zeros = table->columns[column].zeros;
	for (size_t i = 0; i < table->row_count; i++) {
		const char *cell = table->rows[i][column];
		if (cell[0] && !(zeros && strcmp(cell, "0") == 0)) {
			return true;
		}
	}
	return false;
}

static size_t columns_least(const struct table *table, const bool *shown)
{
	size_t least = 0;
	for (size_t i = 0; i < table->column_count; i++) {
		least += shown[i] ? column_least(table, i) + (least > 0) : 0;
	}
	return least;
}

/* The column that goes first; or the count of columns: none can. */
static size_t column_to_drop(const struct table *table, const bool *shown)
{
	size_t drop = table->column_count;
	for (size_t i = 0; i < table->column_count; i++) {
		int rank = table->columns[i].drop;
		if (shown[i] && rank > 0 &&
		    (drop == table->column_count || rank > table->columns[drop].drop)) {
			drop = i;
		}
	}
	return drop;
}

static void columns_choose(const struct table *table, size_t width, bool *shown)
{
	for (size_t i = 0; i < table->column_count; i++) {
		shown[i] = column_says(table, i);
	}
	while (columns_least(table, shown) > width) {
		size_t drop = column_to_drop(table, shown);
		if (drop == table->column_count) {
			return;
		}
		shown[drop] = false;
	}
}

/* ------------------------------------------------------------------------------------- print it -- */

/* Where the line that begins here ends: after a word, or in one that is longer than a line. */
static size_t line_length(const char *text, size_t room)
{
	size_t length = strlen(text);
	if (length <= room) {
		return length;
	}
	for (size_t at = room; at > 0; at--) {
		if (text[at] == ' ') {
			return at;
		}
	}
	return room;
}

/* The widths that the columns get: the widest text is cut first. The last column has what is left, and wraps. */
static void columns_fit(const struct table *table, const bool *shown, size_t width, size_t *widths)
{
	size_t least[COLUMNS_MAX], last = 0, total = 0;
	for (size_t i = 0; i < table->column_count; i++) {
		widths[i] = column_width(table, i);
		least[i] = column_least(table, i);
		last = shown[i] ? i : last;
	}
	if (last + 1 == table->column_count) {
		widths[last] = least[last];
	}
	for (size_t i = 0; i < table->column_count; i++) {
		total += shown[i] ? widths[i] + (total > 0) : 0;
	}
	while (total > width) {
		size_t widest = table->column_count;
		for (size_t i = 0; i < table->column_count; i++) {
			if (shown[i] && widths[i] > least[i] &&
			    (widest == table->column_count || widths[i] > widths[widest])) {
				widest = i;
			}
		}
		if (widest == table->column_count) {
			return;
		}
		widths[widest]--;
		total--;
	}
	widths[last] += width - total;
}

/* Dots say that there is more of it. */
static const char *cell_cut(char *cell, size_t width)
{
	if (strlen(cell) > width) {
		memcpy(cell + width - 2, "..", 3);
	}
	return cell;
}

/* The same text in lines of that width. NULL: no memory. */
static char *cell_wrap(const char *cell, size_t width)
{
	char *wrapped = calloc(2, strlen(cell) + 1);
	for (char *to = wrapped; to && *cell;) {
		size_t length = line_length(cell, width);
		to = mempcpy(to, cell, length);
		cell += length;
		cell += strspn(cell, " ");
		*to++ = *cell ? '\n' : '\0';
	}
	return wrapped;
}

static int column_flags(const struct table *table, size_t column)
{
	if (table->columns[column].right) {
		return SCOLS_FL_RIGHT;
	}
	/* The last column, a sentence, wraps on a narrow terminal. */
	return column + 1 == table->column_count ? SCOLS_FL_WRAP : 0;
}

static void table_fill(const struct table *table, struct libscols_table *printed, const bool *shown,
		       const size_t *widths)
{
	for (size_t i = 0; i < table->column_count; i++) {
		struct libscols_column *column =
			shown[i] ? scols_table_new_column(printed, table->columns[i].name, 0,
							  column_flags(table, i))
				 : NULL;
		if (column && column_flags(table, i) == SCOLS_FL_WRAP) {
			scols_column_set_safechars(column, "\n");
			scols_column_set_wrapfunc(column, scols_wrapnl_chunksize,
						  scols_wrapnl_nextchunk, NULL);
		}
	}
	for (size_t i = 0; i < table->row_count; i++) {
		struct libscols_line *line = scols_table_new_line(printed, NULL);
		size_t at = 0;
		for (size_t j = 0; line && j < table->column_count; j++) {
			char *cell = table->rows[i][j];
			if (shown[j] && column_flags(table, j) == SCOLS_FL_WRAP) {
				scols_line_refer_data(line, at++, cell_wrap(cell, widths[j]));
			} else if (shown[j]) {
				scols_line_set_data(line, at++, cell_cut(cell, widths[j]));
			}
		}
	}
}

int table_print(struct table *table)
{
	bool shown[COLUMNS_MAX];
	size_t widths[COLUMNS_MAX], width = table_width();
	struct libscols_table *printed = table && !table->failed ? scols_new_table() : NULL;
	int r = -1;
	if (printed) {
		columns_choose(table, width, shown);
		columns_fit(table, shown, width, widths);
		scols_table_set_termforce(printed, SCOLS_TERMFORCE_ALWAYS);
		scols_table_set_termwidth(printed, width);
		table_fill(table, printed, shown, widths);
		r = table->row_count > 0 ? scols_print_table(printed) : 0;
		scols_unref_table(printed);
	}
	if (table) {
		table_free(table);
	}
	return r == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

void text_wrap(const char *text, size_t indent)
{
	size_t width = table_width();
	size_t room = width > indent + LAST_MIN ? width - indent : LAST_MIN;
	for (bool first = true; first || *text; first = false) {
		size_t length = line_length(text, room);
		printf("%*s%.*s\n", first ? 0 : (int)indent, "", (int)length, text);
		text += length;
		text += strspn(text, " ");
	}
}

static char *text_next(size_t *ret_size)
{
	static char texts[NUMBERS][24];
	static size_t next;
	*ret_size = sizeof(texts[0]);
	return texts[next++ % NUMBERS];
}

const char *table_number(uint64_t number)
{
	size_t size;
	char *text = text_next(&size);
	snprintf(text, size, "%llu", (unsigned long long)number);
	return text;
}

const char *table_age(uint64_t ms)
{
	static const struct {
		uint64_t ms, until; /* that many ms, the next one is used */
		const char *unit;
	} units[] = {
		{ 1, 10000, "ms" },
		{ 1000, 10 * 60000, "s" },
		{ 60000, 10 * 3600000, "min" },
		{ 3600000, 4 * 86400000, "h" },
		{ 86400000, UINT64_MAX, "d" },
	};
	size_t size, i = 0;
	char *text = text_next(&size);
	while (i + 1 < sizeof(units) / sizeof(units[0]) && ms >= units[i].until) {
		i++;
	}
	snprintf(text, size, "%llu %s", (unsigned long long)(ms / units[i].ms), units[i].unit);
	return text;
}
