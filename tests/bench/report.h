// SPDX-License-Identifier: MIT
/* The output: table, JSON, plot. They only read the results. */
#pragma once

#include "bench.h"

#define QUANTITY_SIZE 32

const char *row_unit(const struct row *row); /* "ns" by default */
bool row_has_raw(const struct row *row);

/* Text as in the table: "<= 1.15x", "4.98 us", "met". */
void target_text(const struct row *row, char *ret_text);
void quantity_text(double value, const char *unit, char *ret_text);
const char *result_verdict(const struct result *result);

void report_table(const struct result *results, size_t count);
int report_json(const struct result *results, size_t count);
int report_plot(const struct result *results, size_t count, const char *path);

/* ------------------------------------------------------------------------------ parts of JSON -- */

struct json_object;

void json_put(struct json_object *object, const char *key, struct json_object *value);
void json_put_text(struct json_object *object, const char *key, const char *text); /* NULL: null */
void json_put_number(struct json_object *object, const char *key, double value,
		     bool there); /* not there: null */
struct json_object *json_machine(void);
int json_print(struct json_object *report); /* and free it */
