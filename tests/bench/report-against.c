// SPDX-License-Identifier: MIT
/* What --against prints. */
#include <json-c/json.h>
#include <stdio.h>

#include "against.h"
#include "host.h"
#include "report.h"

enum { OLD, NEW };

#define COLUMNS "%-16s %10s %10s  %-22s %-22s %s\n"

static void interval_text(const struct interval *interval, char *ret_text)
{
	snprintf(ret_text, 3 * QUANTITY_SIZE, "%.3f [%.3f, %.3f]", interval->estimate,
		 interval->low, interval->high);
}

static void comparison_print(const struct comparison *comparison)
{
	char old[QUANTITY_SIZE] = "-", new[QUANTITY_SIZE] = "-";
	char ratio[3 * QUANTITY_SIZE] = "-", raw[3 * QUANTITY_SIZE] = "-";
	if (comparison->state == RESULT_DONE) {
		quantity_text(comparison->old, comparison->unit, old);
		quantity_text(comparison->new, comparison->unit, new);
		interval_text(&comparison->ratio, ratio);
	}
	if (comparison->has_raw) {
		interval_text(&comparison->raw, raw);
	}
	printf(COLUMNS, comparison->name, old, new, ratio, raw, comparison_verdict(comparison));
}

static void notes_print(const struct comparison *comparison)
{
	if (comparison->reason[0]) {
		printf("%s: %s\n", comparison->name, comparison->reason);
	}
	if (comparison->state == RESULT_DONE && comparison->lost > 0) {
		printf("%s: %u more pairs had no figures\n", comparison->name, comparison->lost);
	}
	if (comparison->raw_moved) {
		printf("%s: the raw primitive moved too: not only our code differs\n",
		       comparison->name);
	}
}

void against_table(const struct against *against, const struct build builds[2],
		   const struct comparison *comparisons, size_t count)
{
	printf("%s, %u CPUs; old: %s (%s); new: %s (%s)\n", host_cpu_name(), host_cpus(),
	       builds[OLD].directory, builds[OLD].version, builds[NEW].directory,
	       builds[NEW].version);
	printf("ratio: time of the new build / time of the old, with its 95 %% interval; worse: "
	       "all "
	       "of it above %.3f\n",
	       1 + against->margin / 100);
	printf(COLUMNS, "ROW", "OLD", "NEW", "RATIO", "RAW", "");
	for (size_t i = 0; i < count; i++) {
		comparison_print(&comparisons[i]);
	}
	for (size_t i = 0; i < count; i++) {
		notes_print(&comparisons[i]);
	}
}

static struct json_object *build_json(const struct build *build)
{
	struct json_object *object = json_object_new_object();
	json_put_text(object, "directory", build->directory);
	json_put_text(object, "version", build->version);
	return object;
}

static const char *verdict_key(const struct comparison *comparison)
{
	static const char *const keys[] = {
		[VERDICT_NOT_WORSE] = "not worse",
		[VERDICT_WORSE] = "worse",
		[VERDICT_UNCLEAR] = "unclear",
	};
	return comparison->state == RESULT_DONE ? keys[comparison->verdict] : NULL;
}

static struct json_object *comparison_json(const struct comparison *comparison)
{
	struct json_object *object = json_object_new_object();
	bool done = comparison->state == RESULT_DONE;
	bool raw = done && comparison->has_raw;
	json_put_text(object, "name", comparison->name);
	json_put_text(object, "title", comparison->row ? comparison->row->title : NULL);
	json_put_text(object, "unit", done ? comparison->unit : NULL);
	json_put_number(object, "old", comparison->old, done);
	json_put_number(object, "new", comparison->new, done);
	json_put_number(object, "ratio", comparison->ratio.estimate, done);
	json_put_number(object, "ratio_low", comparison->ratio.low, done);
	json_put_number(object, "ratio_high", comparison->ratio.high, done);
	json_put_number(object, "raw_ratio", comparison->raw.estimate, raw);
	json_put_number(object, "raw_ratio_low", comparison->raw.low, raw);
	json_put_number(object, "raw_ratio_high", comparison->raw.high, raw);
	json_put(object, "raw_moved", raw ? json_object_new_boolean(comparison->raw_moved) : NULL);
	json_put_text(object, "verdict", verdict_key(comparison));
	json_put_text(object, "state",
		      done                                  ? "done"
		      : comparison->state == RESULT_SKIPPED ? "skipped"
							    : "failed");
	json_put_text(object, "reason", done ? NULL : comparison->reason);
	json_put(object, "pairs", json_object_new_int64(comparison->pairs));
	json_put(object, "lost_pairs", json_object_new_int64(comparison->lost));
	return object;
}

int against_json(const struct against *against, const struct build builds[2],
		 const struct comparison *comparisons, size_t count)
{
	struct json_object *report = json_object_new_object();
	struct json_object *rows = json_object_new_array();
	json_put(report, "machine", json_machine());
	json_put(report, "old", build_json(&builds[OLD]));
	json_put(report, "new", build_json(&builds[NEW]));
	json_put(report, "margin_percent", json_object_new_double(against->margin));
	json_put(report, "interval_level", json_object_new_double(INTERVAL_LEVEL));
	for (size_t i = 0; i < count; i++) {
		json_object_array_add(rows, comparison_json(&comparisons[i]));
	}
	json_put(report, "rows", rows);
	return json_print(report);
}
