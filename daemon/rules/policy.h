// SPDX-License-Identifier: MIT
/*
 * What the administrator allows: one or more files, read once. The evaluator is pure: it looks at its arguments
 * alone, so that the same question always gets the same answer. Names of users and groups are looked up
 * while loading. The loader owns the policy. Once loaded it does not change, so any thread may ask it.
 *
 * A file, in libconfig's syntax:
 *   version = 1;
 *   settings: { spin_us = 10; promises = false; };         keys of policy_setting_specs,
 *                                                          policy_switch_specs
 *   limits: { sessions = 256; };                           keys of account_limits, per user
 *   rules: ( { user = "*"; connect = true; }, ... );
 * A rule has one or both of
 *   user    a name, a uid, "self" (the uid that the daemon runs as) or "*"
 *   group   a name or a gid; the user's group or one of its supplementary groups
 * and decides one or more of
 *   connect   true or false
 *   register  true or false; with class = "cpu", ["gpu", "encoder"] or "*" for these classes only
 *   promise   true or false: may points of its devices be promised to the kernel; class as above
 *   inspect   "none", "own" or "all"
 *   publish, find   true or false for links of any name, or patterns of allowed names (fnmatch(3)),
 *             "encoder.*" or ["encoder.*", "camera"]; then the rule covers these names only
 *   limits    as above
 * The first rule that matches and has the key decides a question; the same holds for each single
 * limit. Where no rule decides, the question is denied, and the limit is the file's or else the
 * default. A rule with optional = true is left out when its user or group does not exist; in any
 * other rule that is an error. Of several files a later one replaces settings and limits of earlier ones,
 * key by key, and its rules follow theirs.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "account.h"
#include "policy-settings.h"

struct policy;

/* The user that a question is about; borrowed for the call. */
struct policy_subject {
	uid_t uid;
	gid_t gid;
	const gid_t *groups; /* the supplementary groups */
	size_t group_count;
};

/*
 * Read a policy. 0, or a negative errno with a message in `ret_error`: "FILE:LINE: ..." for a fault
 * in the file (-EINVAL). A policy that loads is complete: only optional rules can have been left out.
 */
int policy_load_file(const char *path, struct policy **ret_policy, char *ret_error,
		     size_t error_size);

/* The same from memory; `name` stands for the file in messages. */
int policy_load_string(const char *name, const char *text, struct policy **ret_policy,
		       char *ret_error, size_t error_size);

/* A file of several. */
struct policy_part {
	const char *name; /* for messages and origins */
	const char *text;
	bool whole; /* "rules" must be there, so that no forgotten key locks everybody out */
};

/* Several, in their order. */
int policy_load_parts(const struct policy_part *parts, size_t count, struct policy **ret_policy,
		      char *ret_error, size_t error_size);

/* Takes NULL. */
void policy_destroy(struct policy *policy);

/* What to call it: the file that must be there, or POLICY_BUILT_IN or POLICY_LAST_GOOD. */
const char *policy_name(const struct policy *policy);

/* The files that it was read from, in their order. */
size_t policy_file_count(const struct policy *policy);
const char *policy_file(const struct policy *policy, size_t index);

/* Why it could not be kept for the next start: 0 or a negative errno. */
int policy_keep_error(const struct policy *policy);

const struct policy_settings *policy_settings(const struct policy *policy);

/* The questions below set `ret_rule`, unless NULL, to "FILE:LINE" of the rule that decided, or to
 * "no rule matches". The string lives as long as the policy. */

bool policy_may_connect(const struct policy *policy, const struct policy_subject *subject,
			const char **ret_rule);

/* A class that does not exist may not be registered. */
bool policy_may_register(const struct policy *policy, const struct policy_subject *subject,
			 unsigned int device_class, const char **ret_rule);

/* May points of the subject's devices of that class be promised to the kernel? */
bool policy_may_promise(const struct policy *policy, const struct policy_subject *subject,
			unsigned int device_class, const char **ret_rule);

/* May the subject publish, or find, links of that name? */
bool policy_may_publish(const struct policy *policy, const struct policy_subject *subject,
			const char *name, const char **ret_rule);
bool policy_may_find(const struct policy *policy, const struct policy_subject *subject,
		     const char *name, const char **ret_rule);

enum policy_inspect policy_inspect(const struct policy *policy,
				   const struct policy_subject *subject, const char **ret_rule);

/* May the subject see objects of that user? */
bool policy_may_see(const struct policy *policy, const struct policy_subject *subject, uid_t uid);

void policy_limits(const struct policy *policy, const struct policy_subject *subject,
		   uint64_t ret_limits[ACCOUNT_RESOURCE_COUNT]);
