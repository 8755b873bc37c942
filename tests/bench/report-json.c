// SPDX-License-Identifier: MIT
#include <json-c/json.h>
#include <stdio.h>
#include <sys/utsname.h>

#include "host.h"
#include "proto/version.h"
#include "report.h"

static const char *const kind_names[] = {
	[ROW_RATIO] = "ours/raw",
	[ROW_FASTER] = "raw/ours",
	[ROW_RATE] = "ours/raw of rates",
	[ROW_VALUE] = "value",
};

void json_put(struct json_object *object, const char *key, struct json_object *value)
{
	json_object_object_add(object, key, value);
}

void json_put_text(struct json_object *object, const char *key, const char *text)
{
	json_put(object, key, text ? json_object_new_string(text) : NULL);
}

void json_put_number(struct json_object *object, const char *key, double value, bool there)
{
	json_put(object, key, there ? json_object_new_double(value) : NULL);
}

struct json_object *json_machine(void)
{
	struct json_object *machine = json_object_new_object();
	struct utsname name;
	uname(&name);
	json_put_text(machine, "cpu", host_cpu_name());
	json_put(machine, "cpus", json_object_new_int64(host_cpus()));
	json_put_text(machine, "architecture", name.machine);
	json_put_text(machine, "kernel", name.release);
	json_put(machine, "last_level_cache_bytes",
		 json_object_new_int64((int64_t)host_llc_bytes()));
	json_put(machine, "stream_bytes", json_object_new_int64((int64_t)host_stream_bytes()));
	return machine;
}

static struct json_object *row_json(const struct result *result)
{
	const struct row *row = result->row;
	struct json_object *object = json_object_new_object();
	bool done = result->state == RESULT_DONE;
	bool both = done && row_has_raw(row);
	char target[QUANTITY_SIZE];
	target_text(row, target);
	json_put_text(object, "name", row->name);
	json_put_text(object, "title", row->title);
	json_put_text(object, "unit", row_unit(row));
	json_put_number(object, "ours", result->ours, done);
	json_put_number(object, "ours_p99", result->ours_p99, both);
	json_put_number(object, "raw", result->raw, both);
	json_put_number(object, "raw_p99", result->raw_p99, both);
	json_put_text(object, "ours_is",
		      row_has_raw(row) ? (bench_options.selfcheck ? row->raw : row->ours)->what
				       : NULL);
	json_put_text(object, "raw_is", row_has_raw(row) ? row->raw->what : NULL);
	json_put_text(object, "ratio_is", kind_names[row->kind]);
	json_put_number(object, "ratio", result->ratio, both);
	json_put_number(object, "ratio_low", result->ratio_low, both);
	json_put_number(object, "ratio_high", result->ratio_high, both);
	json_put_text(object, "target", target);
	json_put_number(object, "target_value", bench_options.selfcheck ? 1 : row->target, true);
	json_put(object, "met",
		 done ? json_object_new_boolean(bench_options.selfcheck ? result_is_one(result)
									: result->met)
		      : NULL);
	json_put_text(object, "state",
		      done                              ? "done"
		      : result->state == RESULT_SKIPPED ? "skipped"
							: "failed");
	json_put_text(object, "reason", done ? NULL : result->reason);
	json_put_text(object, "note", result->note[0] ? result->note : NULL);
	json_put(object, "rounds", json_object_new_int64(result->rounds));
	json_put(object, "operations_per_sample",
		 json_object_new_int64(row->batch ? row->batch : 1));
	json_put(object, "ours_samples",
		 json_object_new_int64((int64_t)result->ours_samples.count));
	json_put(object, "raw_samples", json_object_new_int64((int64_t)result->raw_samples.count));
	json_put(object, "ours_dropped",
		 json_object_new_int64((int64_t)result->ours_samples.dropped));
	json_put(object, "raw_dropped",
		 json_object_new_int64((int64_t)result->raw_samples.dropped));
	return object;
}

int json_print(struct json_object *report)
{
	int r = puts(json_object_to_json_string_ext(report, JSON_C_TO_STRING_PRETTY |
								    JSON_C_TO_STRING_SPACED));
	json_object_put(report);
	return r < 0 ? -1 : 0;
}

int report_json(const struct result *results, size_t count)
{
	struct json_object *report = json_object_new_object();
	struct json_object *rows = json_object_new_array();
	json_put_text(report, "version", FBK_VERSION_STRING);
	json_put(report, "machine", json_machine());
	json_put(report, "selfcheck", json_object_new_boolean(bench_options.selfcheck));
	json_put(report, "quick", json_object_new_boolean(bench_options.quick));
	for (size_t i = 0; i < count; i++) {
		json_object_array_add(rows, row_json(&results[i]));
	}
	json_put(report, "rows", rows);
	return json_print(report);
}
