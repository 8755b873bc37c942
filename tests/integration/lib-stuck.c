// SPDX-License-Identifier: MIT
#include "lib-stuck.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int fencectl(const struct daemon *daemon, const char *args, char **ret_text)
{
	char all[512];
	snprintf(all, sizeof(all), "--socket '%.96s' %s", daemon->socket, args);
	return fencectl_run(all, ret_text);
}

struct json_object *stuck(const struct daemon *daemon, unsigned int older_ms)
{
	char args[64];
	char *text;
	snprintf(args, sizeof(args), "--json --older %u stuck", older_ms);
	int status = fencectl(daemon, args, &text);
	struct json_object *list = json_tokener_parse(text);
	ck_assert_msg(list && json_object_is_type(list, json_type_array), "%s", text);
	ck_assert_int_eq(status, json_object_array_length(list) > 0 ? STUCK : NOT_STUCK);
	free(text);
	return list;
}

struct json_object *stuck_await(const struct daemon *daemon, size_t count)
{
	uint64_t end = now_ms() + PATIENCE_MS;
	for (;;) {
		struct json_object *list = stuck(daemon, 0);
		if (json_object_array_length(list) == count) {
			return list;
		}
		ck_assert_msg(now_ms() < end, "%s", json_object_to_json_string(list));
		json_object_put(list);
	}
}

const char *word_of(struct json_object *entry, const char *key)
{
	struct json_object *value;
	ck_assert_msg(json_object_object_get_ex(entry, key, &value), "no %s", key);
	return json_object_get_string(value);
}

int64_t number_of(struct json_object *entry, const char *key)
{
	struct json_object *value;
	ck_assert_msg(json_object_object_get_ex(entry, key, &value), "no %s", key);
	return json_object_get_int64(value);
}

struct json_object *entry_of(struct json_object *list, const char *key, int64_t number)
{
	for (size_t i = 0; i < json_object_array_length(list); i++) {
		struct json_object *entry = json_object_array_get_idx(list, i);
		if (number_of(entry, key) == number) {
			return entry;
		}
	}
	ck_abort_msg("no entry with that %s: %s", key, json_object_to_json_string(list));
}

void expect_cause(struct json_object *entry, const char *end, pid_t pid, const char *says)
{
	char who[32];
	snprintf(who, sizeof(who), "(pid %d)", pid);
	ck_assert_str_eq(word_of(entry, "end"), end);
	ck_assert_msg(strstr(word_of(entry, "cause"), who), "%s", word_of(entry, "cause"));
	ck_assert_msg(strstr(word_of(entry, "cause"), says), "%s", word_of(entry, "cause"));
}

void expect_chain(struct json_object *entry, const pid_t *pids, size_t count)
{
	struct json_object *chain;
	ck_assert(json_object_object_get_ex(entry, "chain", &chain));
	ck_assert_uint_eq(json_object_array_length(chain), count);
	for (size_t i = 0; i < count; i++) {
		ck_assert_int_eq(number_of(json_object_array_get_idx(chain, i), "pid"), pids[i]);
	}
}
