// SPDX-License-Identifier: MIT
#include "stats.h"

#include <errno.h>
#include <json-c/json.h>
#include <unistd.h>

#include "clock.h"

void handover_note(struct handover *handover, uint64_t began, uint64_t signalled, uint64_t ended)
{
	uint64_t from = signalled > began ? signalled : began;
	handover->count++;
	handover->waited += signalled > began ? 1 : 0;
	histogram_add(&handover->latency, ended > from ? ended - from : 0);
}

void stats_frame(struct stats *stats)
{
	stats->last = clock_now();
	if (stats->frames++ == 0) {
		stats->first = stats->last;
	}
}

static void add_number(struct json_object *object, const char *key, uint64_t value)
{
	json_object_object_add(object, key, json_object_new_uint64(value));
}

static void add_us(struct json_object *object, const char *key, uint64_t ns)
{
	json_object_object_add(object, key, json_object_new_double((double)ns / 1000));
}

static struct json_object *histogram_json(const struct histogram *histogram)
{
	struct json_object *list = json_object_new_array();
	for (size_t bucket = 0; bucket < HISTOGRAM_BUCKETS; bucket++) {
		if (histogram->buckets[bucket] > 0) {
			struct json_object *entry = json_object_new_object();
			add_number(entry, "from_ns", histogram_bucket_start(bucket));
			add_number(entry, "count", histogram->buckets[bucket]);
			json_object_array_add(list, entry);
		}
	}
	return list;
}

static struct json_object *handover_json(const struct handover *handover)
{
	struct json_object *object = json_object_new_object();
	json_object_object_add(object, "name", json_object_new_string(handover->name));
	json_object_object_add(object, "route", json_object_new_string(handover->route));
	if (handover->peer) {
		json_object_object_add(object, "peer", json_object_new_string(handover->peer));
		json_object_object_add(object, "way", json_object_new_string(handover->way));
	}
	add_number(object, "count", handover->count);
	add_number(object, "waited", handover->waited);
	add_us(object, "p50_us", histogram_quantile(&handover->latency, 500));
	add_us(object, "p99_us", histogram_quantile(&handover->latency, 990));
	add_us(object, "max_us", handover->latency.max);
	json_object_object_add(object, "histogram", histogram_json(&handover->latency));
	return object;
}

static struct json_object *drawn_by_json(const struct drawn_by *by)
{
	struct json_object *object = json_object_new_object();
	json_object_object_add(object, "name", json_object_new_string(by->name));
	json_object_object_add(object, "vulkan", json_object_new_boolean(by->vulkan));
	json_object_object_add(object, "software", json_object_new_boolean(by->software));
	json_object_object_add(object, "said", json_object_new_string(by->said));
	return object;
}

int stats_write(const struct stats *stats, const char *path, const char *process, const char *why)
{
	struct json_object *object = json_object_new_object();
	struct json_object *list = json_object_new_array();
	json_object_object_add(object, "process", json_object_new_string(process));
	json_object_object_add(object, "pid", json_object_new_int(getpid()));
	json_object_object_add(object, "stopped", json_object_new_string(why));
#define X(name, what) add_number(object, #name, stats->name);
	STATS_COUNTS(X)
#undef X
	json_object_object_add(
		object, "seconds",
		json_object_new_double((double)(stats->last - stats->first) / (double)NS_PER_S));
	if (stats->drawn_by.name[0]) {
		json_object_object_add(object, "renderer", drawn_by_json(&stats->drawn_by));
	}
	for (size_t i = 0; i < STATS_HANDOVERS; i++) {
		if (stats->handovers[i].name) {
			json_object_array_add(list, handover_json(&stats->handovers[i]));
		}
	}
	json_object_object_add(object, "handovers", list);
	int r = json_object_to_file_ext(path, object,
					JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED);
	json_object_put(object);
	return r < 0 ? -EIO : 0;
}
