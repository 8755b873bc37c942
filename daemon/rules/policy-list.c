// SPDX-License-Identifier: MIT
#include "policy-list.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "policy-rule.h"

#define NAMES_SIZE 1024 /* patterns beyond that are not shown */

static const char *const inspect_names[] = {
	[POLICY_INSPECT_NONE] = "none",
	[POLICY_INSPECT_OWN] = "own",
	[POLICY_INSPECT_ALL] = "all",
};

static const char *yes_no(bool value)
{
	return value ? "yes" : "no";
}

static const char *number(uint64_t value)
{
	static _Thread_local char text[24];
	snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
	return text;
}

static void text_add(char *text, size_t size, const char *word)
{
	size_t used = strlen(text);
	snprintf(text + used, size - used, "%s%s", used > 0 ? " " : "", word);
}

/* "": all of them. */
static const char *classes_text(uint32_t classes, char *ret_text, size_t size)
{
	uint32_t all = (UINT32_C(1) << POLICY_CLASS_COUNT) - 2;
	ret_text[0] = '\0';
	for (unsigned int i = 1; i < POLICY_CLASS_COUNT && (classes & all) != all; i++) {
		if (classes & (UINT32_C(1) << i)) {
			text_add(ret_text, size, policy_class_names[i]);
		}
	}
	return ret_text;
}

/* So true and false are loaded. */
static bool names_are_all(const struct policy_names *names)
{
	for (size_t i = 0; i < names->count; i++) {
		if (strcmp(names->patterns[i], "*") == 0) {
			return true;
		}
	}
	return false;
}

/* "": all of them. */
static const char *names_text(const struct policy_names *names, char *ret_text, size_t size)
{
	ret_text[0] = '\0';
	for (size_t i = 0; i < names->count && !names_are_all(names); i++) {
		text_add(ret_text, size, names->patterns[i]);
	}
	return ret_text;
}

/* What a rule says to a key, apart from the classes that it is asked about. */
static struct policy_entry rule_entry(const struct policy_rule *rule, enum policy_key key,
				      char *text, size_t size)
{
	struct policy_entry entry = { .kind = "rule", .who = rule->who, .of = "", .at = rule->at };
	switch (key) {
	case POLICY_KEY_CONNECT:
		entry.key = "connect";
		entry.answer = yes_no(rule->may_connect);
		break;
	case POLICY_KEY_REGISTER:
		entry.key = "register";
		entry.of = classes_text(rule->classes, text, size);
		entry.answer = yes_no(rule->may_register);
		break;
	case POLICY_KEY_PROMISE:
		entry.key = "promise";
		entry.of = classes_text(rule->classes, text, size);
		entry.answer = yes_no(rule->may_promise);
		break;
	case POLICY_KEY_PUBLISH:
		entry.key = "publish";
		entry.of = names_text(&rule->publish, text, size);
		entry.answer = yes_no(rule->may_publish);
		break;
	case POLICY_KEY_FIND:
		entry.key = "find";
		entry.of = names_text(&rule->find, text, size);
		entry.answer = yes_no(rule->may_find);
		break;
	case POLICY_KEY_INSPECT:
		entry.key = "inspect";
		entry.answer = inspect_names[rule->inspect];
		break;
	}
	return entry;
}

static const enum policy_key keys[] = {
	POLICY_KEY_CONNECT, POLICY_KEY_REGISTER, POLICY_KEY_PUBLISH,
	POLICY_KEY_FIND,    POLICY_KEY_INSPECT,  POLICY_KEY_PROMISE,
};

#define KEY_COUNT (sizeof(keys) / sizeof(keys[0]))

/* -------------------------------------------------------------------------- rules and values -- */

static bool limits_list(const struct policy_limits *limits, const struct policy_entry *like,
			policy_entry_fn *fn, void *arg)
{
	for (unsigned int i = 0; i < ACCOUNT_RESOURCE_COUNT; i++) {
		struct policy_entry entry = *like;
		if (!(limits->present & (UINT32_C(1) << i))) {
			continue;
		}
		entry.key = account_limits[i].key;
		entry.answer = number(limits->values[i]);
		entry.at = limits->origins[i];
		if (!fn(&entry, arg)) {
			return false;
		}
	}
	return true;
}

void policy_list_rules(const struct policy *policy, policy_entry_fn *fn, void *arg)
{
	char text[NAMES_SIZE];
	for (size_t i = 0; i < policy->rule_count; i++) {
		const struct policy_rule *rule = &policy->rules[i];
		const struct policy_entry limit = { .kind = "rule", .who = rule->who, .of = "" };
		for (size_t k = 0; k < KEY_COUNT; k++) {
			const struct policy_entry entry =
				rule_entry(rule, keys[k], text, sizeof(text));
			if ((rule->keys & keys[k]) && !fn(&entry, arg)) {
				return;
			}
		}
		if (!limits_list(&rule->limits, &limit, fn, arg)) {
			return;
		}
	}
}

static bool settings_list(const struct policy *policy, policy_entry_fn *fn, void *arg)
{
	struct policy_entry entry = { .kind = "setting", .who = "", .of = "" };
	for (size_t i = 0; i < POLICY_SETTING_COUNT; i++) {
		const struct policy_setting_spec *spec = &policy_setting_specs[i];
		uint64_t value;
		memcpy(&value, (const char *)&policy->settings + spec->offset, sizeof(value));
		entry.key = spec->key;
		entry.answer = number(value / spec->scale);
		entry.at = policy->setting_origins[i];
		if (!fn(&entry, arg)) {
			return false;
		}
	}
	for (size_t i = 0; i < POLICY_SWITCH_COUNT; i++) {
		bool on;
		memcpy(&on, (const char *)&policy->settings + policy_switch_specs[i].offset,
		       sizeof(on));
		entry.key = policy_switch_specs[i].key;
		entry.answer = on ? "true" : "false";
		entry.at = policy->switch_origins[i];
		if (!fn(&entry, arg)) {
			return false;
		}
	}
	return true;
}

static void policy_limits_all(const struct policy_limits *from, struct policy_limits *ret)
{
	*ret = *from;
	for (unsigned int i = 0; i < ACCOUNT_RESOURCE_COUNT; i++) {
		if (!(ret->present & (UINT32_C(1) << i))) {
			ret->values[i] = account_limits[i].per_user;
		}
	}
	ret->present = UINT32_MAX;
}

void policy_list_values(const struct policy *policy, policy_entry_fn *fn, void *arg)
{
	const struct policy_entry limit = { .kind = "limit", .who = "", .of = "" };
	struct policy_limits limits;
	policy_limits_all(&policy->limits, &limits);
	if (settings_list(policy, fn, arg)) {
		limits_list(&limits, &limit, fn, arg);
	}
}

/* ------------------------------------------------------------------------- answers for a user -- */

static bool answer_tell(const struct policy_rule *rule, enum policy_key key, const char *of,
			policy_entry_fn *fn, void *arg)
{
	static const struct policy_rule none = { .who = "" };
	char text[NAMES_SIZE];
	struct policy_entry entry = rule_entry(rule ? rule : &none, key, text, sizeof(text));
	entry.kind = "answer";
	entry.of = of ? of : entry.of;
	return fn(&entry, arg);
}

/* One entry for the classes that the same rule decides. */
static bool classes_answer(const struct policy *policy, const struct policy_subject *subject,
			   enum policy_key key, policy_entry_fn *fn, void *arg)
{
	uint32_t told = 0;
	for (unsigned int i = 1; i < POLICY_CLASS_COUNT; i++) {
		const struct policy_rule *rule = policy_rule_for_class(policy, subject, key, i);
		uint32_t classes = 0;
		char text[NAMES_SIZE];
		for (unsigned int j = i; j < POLICY_CLASS_COUNT; j++) {
			if (policy_rule_for_class(policy, subject, key, j) == rule) {
				classes |= UINT32_C(1) << j;
			}
		}
		if (!(told & (UINT32_C(1) << i)) &&
		    !answer_tell(rule, key, classes_text(classes, text, sizeof(text)), fn, arg)) {
			return false;
		}
		told |= classes;
	}
	return true;
}

/* All rules with patterns that cover the user, and the one for all other names. */
static bool names_answer(const struct policy *policy, const struct policy_subject *subject,
			 enum policy_key key, policy_entry_fn *fn, void *arg)
{
	for (size_t i = 0; i < policy->rule_count; i++) {
		const struct policy_rule *rule = &policy->rules[i];
		if (!(rule->keys & key) || !policy_rule_matches(rule, subject)) {
			continue;
		}
		if (!answer_tell(rule, key, NULL, fn, arg)) {
			return false;
		}
		const struct policy_names *names =
			key == POLICY_KEY_PUBLISH ? &rule->publish : &rule->find;
		if (names_are_all(names)) {
			return true;
		}
	}
	return answer_tell(NULL, key, NULL, fn, arg);
}

static bool key_answer(const struct policy *policy, const struct policy_subject *subject,
		       enum policy_key key, policy_entry_fn *fn, void *arg)
{
	switch (key) {
	case POLICY_KEY_REGISTER:
	case POLICY_KEY_PROMISE:
		return classes_answer(policy, subject, key, fn, arg);
	case POLICY_KEY_PUBLISH:
	case POLICY_KEY_FIND:
		return names_answer(policy, subject, key, fn, arg);
	case POLICY_KEY_CONNECT:
	case POLICY_KEY_INSPECT:
		break;
	}
	return answer_tell(policy_rule_for(policy, subject, key, NULL), key, "", fn, arg);
}

void policy_list_answers(const struct policy *policy, const struct policy_subject *subject,
			 policy_entry_fn *fn, void *arg)
{
	const struct policy_entry limit = { .kind = "limit", .who = "", .of = "" };
	struct policy_limits limits;
	for (size_t k = 0; k < KEY_COUNT; k++) {
		if (!key_answer(policy, subject, keys[k], fn, arg)) {
			return;
		}
	}
	policy_limits_find(policy, subject, &limits);
	policy_limits_all(&limits, &limits);
	limits_list(&limits, &limit, fn, arg);
}

/* 0: there is no such key. */
static enum policy_key key_find(const char *name)
{
	char text[NAMES_SIZE];
	const struct policy_rule any = { .who = "" };
	for (size_t k = 0; k < KEY_COUNT; k++) {
		if (strcmp(rule_entry(&any, keys[k], text, sizeof(text)).key, name) == 0) {
			return keys[k];
		}
	}
	return 0;
}

static unsigned int class_find(const char *name)
{
	for (unsigned int i = 1; i < POLICY_CLASS_COUNT; i++) {
		if (strcmp(policy_class_names[i], name) == 0) {
			return i;
		}
	}
	return 0;
}

int policy_list_answer(const struct policy *policy, const struct policy_subject *subject,
		       const char *key, const char *of, policy_entry_fn *fn, void *arg,
		       char *ret_error, size_t error_size)
{
	enum policy_key found = key_find(key);
	bool by_class = found == POLICY_KEY_REGISTER || found == POLICY_KEY_PROMISE;
	bool by_name = found == POLICY_KEY_PUBLISH || found == POLICY_KEY_FIND;
	const struct policy_rule *rule;
	if (!found) {
		snprintf(ret_error, error_size,
			 "\"%.32s\" is none of connect, register, publish, find, inspect and "
			 "promise",
			 key);
		return -EINVAL;
	}
	if (by_class && !class_find(of)) {
		snprintf(ret_error, error_size,
			 "%s needs one of gpu encoder decoder display capture network compositor "
			 "cpu",
			 key);
		return -EINVAL;
	}
	if (by_name != (of[0] && !by_class)) {
		snprintf(ret_error, error_size,
			 by_name ? "%s needs the name of a link" : "%s needs nothing more", key);
		return -EINVAL;
	}
	rule = by_class ? policy_rule_for_class(policy, subject, found, class_find(of))
			: policy_rule_for(policy, subject, found, of);
	answer_tell(rule, found, of, fn, arg);
	return 0;
}
