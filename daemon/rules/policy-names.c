// SPDX-License-Identifier: MIT
#include "policy-names.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>

static bool pattern_valid(const char *pattern)
{
	for (const char *at = pattern; *at; at++) {
		if (*at <= ' ' || *at > '~') {
			return false;
		}
	}
	return *pattern;
}

static int names_add(struct policy_names *names, const char *pattern)
{
	if (!pattern || !pattern_valid(pattern)) {
		return -EINVAL;
	}
	char **patterns = reallocarray(names->patterns, names->count + 1, sizeof(*patterns));
	if (!patterns) {
		return -ENOMEM;
	}
	names->patterns = patterns;
	patterns[names->count] = strdup(pattern);
	if (!patterns[names->count]) {
		return -ENOMEM;
	}
	names->count++;
	return 0;
}

int policy_names_load(struct policy_names *names, const config_setting_t *setting,
		      bool *ret_allowed, const config_setting_t **ret_wrong)
{
	int type = config_setting_type(setting);
	bool several = type == CONFIG_TYPE_ARRAY || type == CONFIG_TYPE_LIST;
	int count = several ? config_setting_length(setting) : 1;
	int r = count > 0 ? 0 : -EINVAL;

	*ret_wrong = setting;
	*ret_allowed = type != CONFIG_TYPE_BOOL || config_setting_get_bool(setting);
	if (type == CONFIG_TYPE_BOOL) {
		return names_add(names, "*");
	}
	for (int i = 0; r == 0 && i < count; i++) {
		*ret_wrong = several ? config_setting_get_elem(setting, (unsigned int)i) : setting;
		r = names_add(names, config_setting_get_string(*ret_wrong));
	}
	return r;
}

bool policy_names_match(const struct policy_names *names, const char *name)
{
	for (size_t i = 0; i < names->count; i++) {
		if (fnmatch(names->patterns[i], name, 0) == 0) {
			return true;
		}
	}
	return false;
}

void policy_names_clear(struct policy_names *names)
{
	for (size_t i = 0; i < names->count; i++) {
		free(names->patterns[i]);
	}
	free(names->patterns);
	*names = (struct policy_names){ 0 };
}
