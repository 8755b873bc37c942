// SPDX-License-Identifier: MIT
#include "report.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "host.h"

const char *row_unit(const struct row *row)
{
	return row->unit ? row->unit : "ns";
}

bool row_has_raw(const struct row *row)
{
	return row->kind != ROW_VALUE;
}

void target_text(const struct row *row, char *ret_text)
{
	if (bench_options.selfcheck) {
		snprintf(ret_text, QUANTITY_SIZE, "1.00 +- 0.05");
	} else if (row->kind == ROW_VALUE) {
		snprintf(ret_text, QUANTITY_SIZE, "<= %g %s", row->target, row_unit(row));
	} else if (row->kind == ROW_FASTER) {
		snprintf(ret_text, QUANTITY_SIZE, ">= %gx faster", row->target);
	} else {
		snprintf(ret_text, QUANTITY_SIZE, "%s %gx",
			 row->kind == ROW_RATE ? ">="
			 : row->below          ? "<"
					       : "<=",
			 row->target);
	}
}

/* Three digits, with the unit scaled. */
void quantity_text(double value, const char *unit, char *ret_text)
{
	static const struct {
		const char *unit;
		double least;
		double divisor;
		const char *shown;
	} scales[] = { { "ns", 1e6, 1e6, "ms" },
		       { "ns", 1e3, 1e3, "us" },
		       { "B", 1024, 1024, "KiB" } };
	const char *shown = unit;
	for (size_t i = 0; i < sizeof(scales) / sizeof(scales[0]); i++) {
		if (strcmp(scales[i].unit, unit) == 0 && value >= scales[i].least) {
			value /= scales[i].divisor;
			shown = scales[i].shown;
			break;
		}
	}
	int digits = value == floor(value) || value >= 100 ? 0 : value >= 10 ? 1 : 2;
	snprintf(ret_text, QUANTITY_SIZE, "%.*f %s", digits, value, shown);
}

const char *result_verdict(const struct result *result)
{
	if (result->state != RESULT_DONE) {
		return result->state == RESULT_SKIPPED ? "skipped" : "failed";
	}
	if (bench_options.selfcheck) {
		return result_is_one(result) ? "one" : "NOT ONE";
	}
	return result->met ? "met" : "MISSED";
}

static void row_print(const struct result *result)
{
	const struct row *row = result->row;
	char ours[QUANTITY_SIZE] = "-", ours_p99[QUANTITY_SIZE] = "-";
	char raw[QUANTITY_SIZE] = "-", raw_p99[QUANTITY_SIZE] = "-";
	char ratio[3 * QUANTITY_SIZE] = "-", target[QUANTITY_SIZE];
	target_text(row, target);
	if (result->state == RESULT_DONE) {
		quantity_text(result->ours, row_unit(row), ours);
	}
	if (result->state == RESULT_DONE && row_has_raw(row)) {
		quantity_text(result->ours_p99, row_unit(row), ours_p99);
		quantity_text(result->raw, row_unit(row), raw);
		quantity_text(result->raw_p99, row_unit(row), raw_p99);
		snprintf(ratio, sizeof(ratio), "%.3g [%.3g, %.3g]", result->ratio,
			 result->ratio_low, result->ratio_high);
	}
	printf("%-16s %10s %10s %10s %10s  %-22s %-14s %s\n", row->name, ours, ours_p99, raw,
	       raw_p99, ratio, target, result_verdict(result));
}

void report_table(const struct result *results, size_t count)
{
	printf("%s, %u CPUs; medians of rounds, ratio with its quartiles\n", host_cpu_name(),
	       host_cpus());
	printf("%-16s %10s %10s %10s %10s  %-22s %-14s %s\n", "ROW", "OURS", "p99", "RAW", "p99",
	       "RATIO", "TARGET", "");
	for (size_t i = 0; i < count; i++) {
		row_print(&results[i]);
	}
	for (size_t i = 0; i < count; i++) {
		const char *text =
			results[i].state == RESULT_DONE ? results[i].note : results[i].reason;
		if (text[0]) {
			printf("%s: %s\n", results[i].row->name, text);
		}
	}
}
