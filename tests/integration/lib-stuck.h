// SPDX-License-Identifier: MIT
/*
 * What `fencectl stuck` says, run as a process of its own. Whatever does not go as it must fails the running
 * test. Lists are the caller's, to be put; entries and words belong to their list.
 */
#pragma once

#include <json-c/json.h>

#include "lib-daemon.h"

#define NOT_STUCK 0
#define STUCK     3

/* To where other users may run it, too; until the test ends. */
void fencectl_copy(const struct daemon *daemon);

/* Run with these arguments behind the socket's. Returns the exit status; `ret_text`, to be freed, is all that it
 * printed. */
int fencectl(const struct daemon *daemon, const char *args, char **ret_text);

/* The list. The exit status agrees with it. */
struct json_object *stuck(const struct daemon *daemon, unsigned int older_ms);

/* Until that many are listed, however young. */
struct json_object *stuck_await(const struct daemon *daemon, size_t count);

const char *word_of(struct json_object *entry, const char *key);
int64_t number_of(struct json_object *entry, const char *key);

/* The first where `key` is that number. */
struct json_object *entry_of(struct json_object *list, const char *key, int64_t number);

/* How its chain ends, whom the sentence names, and a part of that sentence. */
void expect_cause(struct json_object *entry, const char *end, pid_t pid, const char *says);

/* The owners of the points in the chain. */
void expect_chain(struct json_object *entry, const pid_t *pids, size_t count);
