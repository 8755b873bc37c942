// SPDX-License-Identifier: MIT
#include "policy.h"

#include <stdlib.h>

#include "policy-rule.h"

const struct policy_setting_spec policy_setting_specs[POLICY_SETTING_COUNT] = {
	{ "spin_us", 10, 0, 1000, 1000, offsetof(struct policy_settings, spin_ns),
	  "microseconds that a wait spins before it sleeps" },
	{ "max_wait_ms", 3600000, 1, 604800000, 1, offsetof(struct policy_settings, max_wait_ms),
	  "milliseconds that a wait or an export may last" },
	{ "max_import_ms", 60000, 1, 604800000, 1, offsetof(struct policy_settings, max_import_ms),
	  "milliseconds after which an imported fence is late" },
	{ "max_jump", UINT64_C(1) << 48, 1, UINT64_C(1) << 61, 1,
	  offsetof(struct policy_settings, max_jump),
	  "the most by which a payload may plausibly rise at once" },
	/* At most 1.5 s: vgem's fences time out after 10 s, in newer kernels after 2 s. */
	{ "promise_ms", 1000, 1, 1500, 1, offsetof(struct policy_settings, promise_ms),
	  "deadline of a promise in milliseconds" },
	{ "poison_ms", 2000, 0, 60000, 1, offsetof(struct policy_settings, poison_ms),
	  "milliseconds for which poison is put back where a device overwrites it" },
	{ "watcher_cpu_percent", 10, 0, 100, 1,
	  offsetof(struct policy_settings, watcher_cpu_percent),
	  "the share of one CPU for polling what silent devices write" },
};

const struct policy_switch_spec policy_switch_specs[POLICY_SWITCH_COUNT] = {
	{ "promises", offsetof(struct policy_settings, promises),
	  "hand out unsignalled sync_files" },
	{ "implicit_promises", offsetof(struct policy_settings, implicit_promises),
	  "hand them out for the implicit fences of dma-bufs too" },
};

const char *const policy_class_names[POLICY_CLASS_COUNT] = {
	[1] = "gpu",     [2] = "encoder", [3] = "decoder",    [4] = "display",
	[5] = "capture", [6] = "network", [7] = "compositor", [8] = "cpu",
};

void policy_rule_clear(struct policy_rule *rule)
{
	free(rule->origin);
	free(rule->who);
	policy_names_clear(&rule->publish);
	policy_names_clear(&rule->find);
	*rule = (struct policy_rule){ 0 };
}

void policy_destroy(struct policy *policy)
{
	if (!policy) {
		return;
	}
	for (size_t i = 0; i < policy->rule_count; i++) {
		policy_rule_clear(&policy->rules[i]);
	}
	for (size_t i = 0; i < policy->file_count; i++) {
		free(policy->files[i]);
	}
	free(policy->files);
	free(policy->rules);
	free(policy);
}

const char *policy_name(const struct policy *policy)
{
	return policy->name;
}

size_t policy_file_count(const struct policy *policy)
{
	return policy->file_count;
}

const char *policy_file(const struct policy *policy, size_t index)
{
	return policy->files[index];
}

int policy_keep_error(const struct policy *policy)
{
	return policy->keep_error;
}

const struct policy_settings *policy_settings(const struct policy *policy)
{
	return &policy->settings;
}

static bool subject_in_group(const struct policy_subject *subject, gid_t gid)
{
	if (subject->gid == gid) {
		return true;
	}
	for (size_t i = 0; i < subject->group_count; i++) {
		if (subject->groups[i] == gid) {
			return true;
		}
	}
	return false;
}

bool policy_rule_matches(const struct policy_rule *rule, const struct policy_subject *subject)
{
	if (rule->has_user && !rule->any_user && rule->uid != subject->uid) {
		return false;
	}
	return !rule->has_group || subject_in_group(subject, rule->gid);
}

/* The key that is asked for, and the device classes or the link name that it is asked about. */
struct question {
	enum policy_key key;
	uint32_t classes;
	const char *name;
};

static bool rule_decides(const struct policy_rule *rule, const struct question *question)
{
	if (!(rule->keys & question->key)) {
		return false;
	}
	switch (question->key) {
	case POLICY_KEY_REGISTER:
	case POLICY_KEY_PROMISE:
		return rule->classes & question->classes;
	case POLICY_KEY_PUBLISH:
		return policy_names_match(&rule->publish, question->name);
	case POLICY_KEY_FIND:
		return policy_names_match(&rule->find, question->name);
	case POLICY_KEY_CONNECT:
	case POLICY_KEY_INSPECT:
		break;
	}
	return true;
}

/* The first rule that decides the question. */
static const struct policy_rule *policy_find(const struct policy *policy,
					     const struct policy_subject *subject,
					     struct question question, const char **ret_rule)
{
	const struct policy_rule *found = NULL;

	for (size_t i = 0; i < policy->rule_count && !found; i++) {
		const struct policy_rule *rule = &policy->rules[i];

		if (rule_decides(rule, &question) && policy_rule_matches(rule, subject)) {
			found = rule;
		}
	}
	if (ret_rule) {
		*ret_rule = found ? found->origin : "no rule matches";
	}
	return found;
}

/* Class 0 and unknown classes are in no rule's mask. */
static uint32_t class_mask(unsigned int device_class)
{
	return device_class < POLICY_CLASS_COUNT ? UINT32_C(1) << device_class : 0;
}

const struct policy_rule *policy_rule_for(const struct policy *policy,
					  const struct policy_subject *subject, enum policy_key key,
					  const char *name)
{
	return policy_find(policy, subject, (struct question){ .key = key, .name = name }, NULL);
}

const struct policy_rule *policy_rule_for_class(const struct policy *policy,
						const struct policy_subject *subject,
						enum policy_key key, unsigned int device_class)
{
	struct question question = { .key = key, .classes = class_mask(device_class) };

	return policy_find(policy, subject, question, NULL);
}

bool policy_may_connect(const struct policy *policy, const struct policy_subject *subject,
			const char **ret_rule)
{
	const struct policy_rule *rule = policy_find(
		policy, subject, (struct question){ .key = POLICY_KEY_CONNECT }, ret_rule);

	return rule && rule->may_connect;
}

bool policy_may_register(const struct policy *policy, const struct policy_subject *subject,
			 unsigned int device_class, const char **ret_rule)
{
	struct question question = { .key = POLICY_KEY_REGISTER,
				     .classes = class_mask(device_class) };
	const struct policy_rule *rule = policy_find(policy, subject, question, ret_rule);

	return rule && rule->may_register;
}

bool policy_may_promise(const struct policy *policy, const struct policy_subject *subject,
			unsigned int device_class, const char **ret_rule)
{
	struct question question = { .key = POLICY_KEY_PROMISE,
				     .classes = class_mask(device_class) };
	const struct policy_rule *rule = policy_find(policy, subject, question, ret_rule);

	return rule && rule->may_promise;
}

bool policy_may_publish(const struct policy *policy, const struct policy_subject *subject,
			const char *name, const char **ret_rule)
{
	struct question question = { .key = POLICY_KEY_PUBLISH, .name = name };
	const struct policy_rule *rule = policy_find(policy, subject, question, ret_rule);

	return rule && rule->may_publish;
}

bool policy_may_find(const struct policy *policy, const struct policy_subject *subject,
		     const char *name, const char **ret_rule)
{
	struct question question = { .key = POLICY_KEY_FIND, .name = name };
	const struct policy_rule *rule = policy_find(policy, subject, question, ret_rule);

	return rule && rule->may_find;
}

enum policy_inspect policy_inspect(const struct policy *policy,
				   const struct policy_subject *subject, const char **ret_rule)
{
	const struct policy_rule *rule = policy_find(
		policy, subject, (struct question){ .key = POLICY_KEY_INSPECT }, ret_rule);

	return rule ? rule->inspect : POLICY_INSPECT_NONE;
}

static void limits_fill(struct policy_limits *limits, const struct policy_limits *from)
{
	uint32_t open = from->present & ~limits->present;

	for (unsigned int i = 0; i < ACCOUNT_RESOURCE_COUNT; i++) {
		if (open & (UINT32_C(1) << i)) {
			limits->values[i] = from->values[i];
			limits->origins[i] = from->origins[i];
		}
	}
	limits->present |= open;
}

bool policy_may_see(const struct policy *policy, const struct policy_subject *subject, uid_t uid)
{
	enum policy_inspect inspect = policy_inspect(policy, subject, NULL);
	return inspect == POLICY_INSPECT_ALL ||
	       (inspect == POLICY_INSPECT_OWN && subject->uid == uid);
}

void policy_limits_find(const struct policy *policy, const struct policy_subject *subject,
			struct policy_limits *ret_limits)
{
	*ret_limits = (struct policy_limits){ 0 };
	for (size_t i = 0; i < policy->rule_count; i++) {
		if (policy_rule_matches(&policy->rules[i], subject)) {
			limits_fill(ret_limits, &policy->rules[i].limits);
		}
	}
	limits_fill(ret_limits, &policy->limits);
}

void policy_limits(const struct policy *policy, const struct policy_subject *subject,
		   uint64_t ret_limits[ACCOUNT_RESOURCE_COUNT])
{
	struct policy_limits found;

	policy_limits_find(policy, subject, &found);
	for (size_t i = 0; i < ACCOUNT_RESOURCE_COUNT; i++) {
		ret_limits[i] = found.present & (UINT32_C(1) << i) ? found.values[i]
								   : account_limits[i].per_user;
	}
}
