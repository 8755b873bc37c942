// SPDX-License-Identifier: MIT
/*
 * The output of `fencectl stuck`, run as a process of its own. Every unexpected error fails the
 * running test. The caller owns a list and puts it; entries and words belong to their list.
 */
#pragma once

#include <json-c/json.h>

#include "lib-fencectl.h"

#define NOT_STUCK 0
#define STUCK     3

/* Runs fencectl with these arguments behind the socket's. Returns the exit status; `ret_text`, which the
 * caller frees, is its output. */
int fencectl(const struct daemon *daemon, const char *args, char **ret_text);

/* The list. The exit status must agree with it. */
struct json_object *stuck(const struct daemon *daemon, unsigned int older_ms);

/* Waits until that many are listed, of any age. */
struct json_object *stuck_await(const struct daemon *daemon, size_t count);

const char *word_of(struct json_object *entry, const char *key);
int64_t number_of(struct json_object *entry, const char *key);

/* The first where `key` is that number. */
struct json_object *entry_of(struct json_object *list, const char *key, int64_t number);

/* The end of its chain, the process that the sentence names, and a part of that sentence. */
void expect_cause(struct json_object *entry, const char *end, pid_t pid, const char *says);

/* The owners of the points in the chain. */
void expect_chain(struct json_object *entry, const pid_t *pids, size_t count);
