// SPDX-License-Identifier: MIT
/* The link names that a policy rule covers: patterns of fnmatch(3). */
#pragma once

#include <libconfig.h>
#include <stdbool.h>
#include <stddef.h>

/* All zero: no pattern. */
struct policy_names {
	char **patterns;
	size_t count;
};

/*
 * Load from true or false (all names), a pattern, or several patterns. `ret_allowed` is false only for the
 * value false. -EINVAL: `ret_wrong` is of another type, or a pattern that no name can match. After an error
 * `names` holds the patterns before it.
 */
int policy_names_load(struct policy_names *names, const config_setting_t *setting,
		      bool *ret_allowed, const config_setting_t **ret_wrong);
bool policy_names_match(const struct policy_names *names, const char *name);
void policy_names_clear(struct policy_names *names);
