// SPDX-License-Identifier: MIT
/* A policy as a list of what it says, for an administrator to read: its rules, its values, or the answers for a user. Pure. */
#pragma once

#include "policy.h"

/* Strings are valid during the call that gets them. */
struct policy_entry {
	const char *kind; /* rule, setting, limit or answer */
	const char *who;  /* of a rule: "user NAME" and "group NAME", as it is written; else "" */
	const char *key;
	const char *of;     /* classes, or patterns of names; "": all, or nothing to tell */
	const char *answer; /* yes, no, all, own, none, true, false or a number */
	struct policy_origin at;
};

/* false: no more is wanted. */
typedef bool policy_entry_fn(const struct policy_entry *entry, void *arg);

/* Each decision of each rule, in the order in which they decide. */
void policy_list_rules(const struct policy *policy, policy_entry_fn *fn, void *arg);

/* Each setting, and each user's limits unless a rule has others. */
void policy_list_values(const struct policy *policy, policy_entry_fn *fn, void *arg);

/* What holds for a user: each question with the rule that decides it, then the limits. */
void policy_list_answers(const struct policy *policy, const struct policy_subject *subject,
			 policy_entry_fn *fn, void *arg);

/*
 * One question: `key` is that of a rule, `of` a device class (register, promise) or a name (publish, find), else "". -EINVAL:
 * there is no such question, and `ret_error` says why.
 */
int policy_list_answer(const struct policy *policy, const struct policy_subject *subject,
		       const char *key, const char *of, policy_entry_fn *fn, void *arg,
		       char *ret_error, size_t error_size);
