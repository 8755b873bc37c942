// SPDX-License-Identifier: MIT
/* Where the daemon's policy comes from: a file, or the built-in one where there is none. Any thread may load it, one at a
 * time: users and groups are looked up. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct policy;

#define POLICY_BUILT_IN "built-in" /* in place of a path */

/* Strings are borrowed. All zero: there is no source. */
struct policy_source {
	const char *path;
	bool required;        /* the file must exist; else the built-in policy stands in for it */
	const char *built_in; /* its text */
};

/* A file that exists and can't be read is an error. Errors as from policy_load_file(). `ret_name` is the
 * source's path or POLICY_BUILT_IN, also on an error. */
int policy_source_load(const struct policy_source *source, struct policy **ret_policy,
		       const char **ret_name, char *ret_error, size_t error_size);
