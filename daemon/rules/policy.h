// SPDX-License-Identifier: MIT
/*
 * What the administrator allows: one file, read once and then only asked. The evaluator is pure:
 * it looks at its arguments alone, so that the same question always gets the same answer; names of
 * users and groups are looked up while loading. Whoever loads a policy owns it; once loaded it
 * does not change, so that any thread may ask it.
 *
 * The file, in libconfig's syntax:
 *   version = 1;
 *   settings: { spin_us = 10; promises = false; };         keys of policy_setting_specs,
 *                                                          policy_switch_specs
 *   limits: { sessions = 256; };                           keys of account_limits, per user
 *   rules: ( { user = "*"; connect = true; }, ... );
 * A rule has one or both of
 *   user    a name, a uid, "self" (the uid the daemon runs as) or "*"
 *   group   a name or a gid; the user's group or one of its further ones
 * and decides one or more of
 *   connect   true or false
 *   register  true or false; with class = "cpu", ["gpu", "encoder"] or "*" for these classes only
 *   promise   true or false: may points of its devices be promised; class as above
 *   inspect   "none", "own" or "all"
 *   publish, find   true or false for links of any name, or patterns of names (fnmatch(3)) that are
 *             allowed, "encoder.*" or ["encoder.*", "camera"]; it is about these names only
 *   limits    as above
 * Each question, and each single limit, is decided by the first rule that matches and has that
 * key. Where none does: not allowed, and the limits of the file or else the defaults. A rule with
 * optional = true is left out when its user or group does not exist; in any other it is an error.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "account.h"
#include "policy-settings.h"

struct policy;

/* Who asks; borrowed for the call. */
struct policy_subject {
	uid_t uid;
	gid_t gid;
	const gid_t *groups; /* the further ones */
	size_t group_count;
};

/*
 * Read a policy. 0, or a negative errno with a message in `ret_error` that says where and why, as
 * "FILE:LINE: ..." for what is wrong in the file (-EINVAL). One that loads is complete: nothing in
 * it was ignored but optional rules.
 */
int policy_load_file(const char *path, struct policy **ret_policy, char *ret_error,
		     size_t error_size);

/* The same from memory; `name` stands for the file in messages. */
int policy_load_string(const char *name, const char *text, struct policy **ret_policy,
		       char *ret_error, size_t error_size);

/* Takes NULL. */
void policy_destroy(struct policy *policy);

const struct policy_settings *policy_settings(const struct policy *policy);

/* In the questions below `ret_rule`, unless NULL, is set to "FILE:LINE" of the rule that decided,
 * or to "no rule matches"; it lives as long as the policy. */

bool policy_may_connect(const struct policy *policy, const struct policy_subject *subject,
			const char **ret_rule);

/* A class that does not exist may not be registered. */
bool policy_may_register(const struct policy *policy, const struct policy_subject *subject,
			 unsigned int device_class, const char **ret_rule);

/* May points of a device of that class, registered by the subject, be promised to the kernel? */
bool policy_may_promise(const struct policy *policy, const struct policy_subject *subject,
			unsigned int device_class, const char **ret_rule);

/* May links be published, or found, by that name? */
bool policy_may_publish(const struct policy *policy, const struct policy_subject *subject,
			const char *name, const char **ret_rule);
bool policy_may_find(const struct policy *policy, const struct policy_subject *subject,
		     const char *name, const char **ret_rule);

enum policy_inspect policy_inspect(const struct policy *policy,
				   const struct policy_subject *subject, const char **ret_rule);

void policy_limits(const struct policy *policy, const struct policy_subject *subject,
		   uint64_t ret_limits[ACCOUNT_RESOURCE_COUNT]);
