// SPDX-License-Identifier: MIT
/*
 * A policy in memory, for its three files: policy-load.c (from file to text to libconfig's tree),
 * policy-read.c (from the tree to these structures), policy.c (answers).
 */
#pragma once

#include <libconfig.h>
#include <sys/types.h>

#include "account.h"
#include "policy-names.h"
#include "policy-settings.h"

struct policy_subject;

enum policy_key {
	POLICY_KEY_CONNECT = 1 << 0,
	POLICY_KEY_REGISTER = 1 << 1,
	POLICY_KEY_INSPECT = 1 << 2,
	POLICY_KEY_PROMISE = 1 << 3,
	POLICY_KEY_PUBLISH = 1 << 4,
	POLICY_KEY_FIND = 1 << 5,
};

struct policy_limits {
	uint32_t present; /* mask by enum account_resource */
	uint64_t values[ACCOUNT_RESOURCE_COUNT];
	struct policy_origin origins[ACCOUNT_RESOURCE_COUNT];
};

_Static_assert(ACCOUNT_RESOURCE_COUNT <= 32, "a mask of resources has 32 bits");

struct policy_rule {
	char *origin; /* "FILE:LINE" */
	struct policy_origin at;
	char *who; /* as it is written: "user NAME" and "group NAME" */
	bool any_user;
	bool has_user;
	bool has_group;
	uid_t uid;
	gid_t gid;
	uint32_t classes; /* mask of 1 << class */
	uint32_t keys;    /* mask of enum policy_key: what the rule decides, besides limits */
	bool may_connect;
	bool may_register;
	bool may_promise;
	bool may_publish;
	bool may_find;
	struct policy_names publish; /* the names that these two keys cover */
	struct policy_names find;
	enum policy_inspect inspect;
	struct policy_limits limits;
};

struct policy {
	const char *name; /* one of `files`, or constant */
	int keep_error;
	char **files;
	size_t file_count;
	struct policy_settings settings;
	struct policy_origin setting_origins[POLICY_SETTING_COUNT];
	struct policy_origin switch_origins[POLICY_SWITCH_COUNT];
	struct policy_limits limits;
	struct policy_rule *rules;
	size_t rule_count;
};

void policy_rule_clear(struct policy_rule *rule);

/* policy.c: does it concern the user, and the first one that decides a question; NULL: none does. `name` is that of a
 * link, with the keys that need one. */
bool policy_rule_matches(const struct policy_rule *rule, const struct policy_subject *subject);
const struct policy_rule *policy_rule_for(const struct policy *policy,
					  const struct policy_subject *subject, enum policy_key key,
					  const char *name);
const struct policy_rule *policy_rule_for_class(const struct policy *policy,
						const struct policy_subject *subject,
						enum policy_key key, unsigned int device_class);

/* Those that rules or the policy set for the user; what is not `present` is the default. */
void policy_limits_find(const struct policy *policy, const struct policy_subject *subject,
			struct policy_limits *ret_limits);

/* Before the first file: a policy that is all zero gets the defaults. */
void policy_init(struct policy *policy);

/* Add a file, from libconfig's tree: its settings and limits replace, its rules follow. `name` is one of the policy's
 * `files`. `whole`: it must have rules. 0, or a negative errno and a message; the policy may then be half filled, and
 * policy_destroy() takes it. */
int policy_read(struct policy *policy, const config_t *config, const char *name, bool whole,
		char *ret_error, size_t error_size);
