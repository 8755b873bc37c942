// SPDX-License-Identifier: MIT
/* The names of links that a policy's rule is about: patterns, as fnmatch(3) has them. */
#pragma once

#include <libconfig.h>
#include <stdbool.h>
#include <stddef.h>

/* All zero: none. */
struct policy_names {
	char **patterns;
	size_t count;
};

/*
 * From true or false (all names), a pattern, or several; `ret_allowed` is false only for false. -EINVAL:
 * `ret_wrong` is something else, or a pattern that no name can match. What was read until then is there.
 */
int policy_names_load(struct policy_names *names, const config_setting_t *setting,
		      bool *ret_allowed, const config_setting_t **ret_wrong);
bool policy_names_match(const struct policy_names *names, const char *name);
void policy_names_clear(struct policy_names *names);
