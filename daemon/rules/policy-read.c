// SPDX-License-Identifier: MIT
/*
 * From libconfig's tree to struct policy. A table of allowed keys reads each group, so that nothing in
 * the file goes unnoticed.
 */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "policy-rule.h"
#include "policy.h"

#define POLICY_VERSION 1
#define POLICY_ID_MAX  (UINT32_MAX - 1) /* (uid_t)-1 means "none" to the kernel */

struct loader {
	const char *name;
	bool whole;
	char *error;
	size_t error_size;
	struct policy *policy;
	struct policy_rule *rule; /* the rule being read */
	bool rule_optional;
	bool rule_absent; /* its user or group does not exist */
};

struct key {
	const char *name;
	int (*load)(struct loader *loader, const config_setting_t *setting);
};

__attribute__((format(printf, 3, 4))) static int refuse(const struct loader *loader,
							unsigned int line, const char *format, ...)
{
	char message[256];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(message, sizeof(message), format, arguments);
	va_end(arguments);
	snprintf(loader->error, loader->error_size, "%s:%u: %s", loader->name, line, message);
	return -EINVAL;
}

static int fail(const struct loader *loader, int error)
{
	snprintf(loader->error, loader->error_size, "%s: %s", loader->name, strerror(-error));
	return error;
}

static unsigned int line_of(const config_setting_t *setting)
{
	return config_setting_source_line(setting);
}

static struct policy_origin origin_of(const struct loader *loader, const config_setting_t *setting)
{
	return (struct policy_origin){ loader->name, line_of(setting) };
}

/* ---------------------------------------------------------------------------- plain values --- */

static int group_load(struct loader *loader, const config_setting_t *group, const struct key *keys,
		      size_t key_count)
{
	for (int i = 0; i < config_setting_length(group); i++) {
		const config_setting_t *setting = config_setting_get_elem(group, (unsigned int)i);
		const char *name = config_setting_name(setting);
		size_t k = 0;

		while (k < key_count && strcmp(keys[k].name, name) != 0) {
			k++;
		}
		if (k == key_count) {
			return refuse(loader, line_of(setting), "unknown key \"%s\"", name);
		}
		int r = keys[k].load(loader, setting);
		if (r < 0) {
			return r;
		}
	}
	return 0;
}

static int group_expect(const struct loader *loader, const config_setting_t *setting)
{
	if (config_setting_type(setting) != CONFIG_TYPE_GROUP) {
		return refuse(loader, line_of(setting), "\"%s\" must be a group { ... }",
			      config_setting_name(setting));
	}
	return 0;
}

static int number_load(const struct loader *loader, const config_setting_t *setting,
		       uint64_t minimum, uint64_t maximum, uint64_t *ret_number)
{
	const char *name = config_setting_name(setting);
	int type = config_setting_type(setting);

	/* Decimal only: some versions of libconfig cut off long hexadecimal numbers. */
	if ((type != CONFIG_TYPE_INT && type != CONFIG_TYPE_INT64) ||
	    config_setting_get_format(setting) != CONFIG_FORMAT_DEFAULT) {
		return refuse(loader, line_of(setting), "\"%s\" must be a decimal whole number",
			      name);
	}
	long long number = config_setting_get_int64(setting);

	if (number < 0 || (uint64_t)number < minimum || (uint64_t)number > maximum) {
		return refuse(loader, line_of(setting), "\"%s\" must be from %llu to %llu", name,
			      (unsigned long long)minimum, (unsigned long long)maximum);
	}
	*ret_number = (uint64_t)number;
	return 0;
}

static int bool_load(const struct loader *loader, const config_setting_t *setting, bool *ret_value)
{
	if (config_setting_type(setting) != CONFIG_TYPE_BOOL) {
		return refuse(loader, line_of(setting), "\"%s\" must be true or false",
			      config_setting_name(setting));
	}
	*ret_value = config_setting_get_bool(setting);
	return 0;
}

/* --------------------------------------------------------------------- settings and limits --- */

static void setting_store(struct policy *policy, const struct policy_setting_spec *spec,
			  uint64_t number)
{
	number *= spec->scale;
	memcpy((char *)&policy->settings + spec->offset, &number, sizeof(number));
}

static int setting_number_load(struct loader *loader, const config_setting_t *setting)
{
	const struct policy_setting_spec *spec = policy_setting_specs;
	uint64_t number = 0;
	int r;

	while (strcmp(spec->key, config_setting_name(setting)) != 0) {
		spec++;
	}
	r = number_load(loader, setting, spec->minimum, spec->maximum, &number);
	if (r < 0) {
		return r;
	}
	setting_store(loader->policy, spec, number);
	loader->policy->setting_origins[spec - policy_setting_specs] = origin_of(loader, setting);
	return 0;
}

static int setting_switch_load(struct loader *loader, const config_setting_t *setting)
{
	const struct policy_switch_spec *spec = policy_switch_specs;
	bool value = false;

	while (strcmp(spec->key, config_setting_name(setting)) != 0) {
		spec++;
	}
	int r = bool_load(loader, setting, &value);

	if (r == 0) {
		memcpy((char *)&loader->policy->settings + spec->offset, &value, sizeof(value));
		loader->policy->switch_origins[spec - policy_switch_specs] =
			origin_of(loader, setting);
	}
	return r;
}

static int settings_load(struct loader *loader, const config_setting_t *group)
{
	struct key keys[POLICY_SETTING_COUNT + POLICY_SWITCH_COUNT];
	int r = group_expect(loader, group);

	if (r < 0) {
		return r;
	}
	for (size_t i = 0; i < POLICY_SETTING_COUNT; i++) {
		keys[i] = (struct key){ policy_setting_specs[i].key, setting_number_load };
	}
	for (size_t i = 0; i < POLICY_SWITCH_COUNT; i++) {
		keys[POLICY_SETTING_COUNT + i] =
			(struct key){ policy_switch_specs[i].key, setting_switch_load };
	}
	return group_load(loader, group, keys, POLICY_SETTING_COUNT + POLICY_SWITCH_COUNT);
}

static int limit_load(struct loader *loader, const config_setting_t *setting)
{
	struct policy_limits *limits =
		loader->rule ? &loader->rule->limits : &loader->policy->limits;
	unsigned int resource = 0;

	while (strcmp(account_limits[resource].key, config_setting_name(setting)) != 0) {
		resource++;
	}
	limits->present |= UINT32_C(1) << resource;
	limits->origins[resource] = origin_of(loader, setting);
	return number_load(loader, setting, 0, POLICY_LIMIT_MAX, &limits->values[resource]);
}

static int limits_load(struct loader *loader, const config_setting_t *group)
{
	struct key keys[ACCOUNT_RESOURCE_COUNT];
	int r = group_expect(loader, group);

	if (r < 0) {
		return r;
	}
	for (size_t i = 0; i < ACCOUNT_RESOURCE_COUNT; i++) {
		keys[i] = (struct key){ account_limits[i].key, limit_load };
	}
	return group_load(loader, group, keys, ACCOUNT_RESOURCE_COUNT);
}

/* ----------------------------------------------------------------------------------- rules --- */

/* -ENOENT when there is no such name, for which getpwnam(3) lists several errors; else the error of the
 * lookup. */
static int lookup_error(int error)
{
	return error == 0 || error == ESRCH || error == EBADF || error == EPERM ? -ENOENT : -error;
}

static int user_lookup(const char *name, uint32_t *ret_id)
{
	if (strcmp(name, "self") == 0) {
		*ret_id = geteuid();
		return 0;
	}
	errno = 0;
	const struct passwd *entry = getpwnam(name);

	if (!entry) {
		return lookup_error(errno);
	}
	*ret_id = entry->pw_uid;
	return 0;
}

static int group_lookup(const char *name, uint32_t *ret_id)
{
	errno = 0;
	const struct group *entry = getgrnam(name);

	if (!entry) {
		return lookup_error(errno);
	}
	*ret_id = entry->gr_gid;
	return 0;
}

/* A name or a number. An unknown name leaves out an optional rule, and is an error in any other rule. A
 * lookup that fails is always an error. */
static int id_load(struct loader *loader, const config_setting_t *setting,
		   int (*lookup)(const char *name, uint32_t *ret_id), uint32_t *ret_id)
{
	const char *key = config_setting_name(setting);

	if (config_setting_type(setting) != CONFIG_TYPE_STRING) {
		uint64_t number = 0;
		int r = number_load(loader, setting, 0, POLICY_ID_MAX, &number);

		if (r == 0) {
			*ret_id = (uint32_t)number;
		}
		return r;
	}
	const char *name = config_setting_get_string(setting);
	int r = lookup(name, ret_id);

	if (r == -ENOENT && loader->rule_optional) {
		loader->rule_absent = true;
		return 0;
	}
	if (r == -ENOENT) {
		return refuse(loader, line_of(setting),
			      "there is no %s \"%s\" (optional = true leaves out such a rule)", key,
			      name);
	}
	if (r < 0) {
		return refuse(loader, line_of(setting), "%s \"%s\" can't be looked up: %s", key,
			      name, strerror(-r));
	}
	return 0;
}

static int rule_user_load(struct loader *loader, const config_setting_t *setting)
{
	const char *name = config_setting_get_string(setting);

	loader->rule->has_user = true;
	if (name && strcmp(name, "*") == 0) {
		loader->rule->any_user = true;
		return 0;
	}
	return id_load(loader, setting, user_lookup, &loader->rule->uid);
}

static int rule_group_load(struct loader *loader, const config_setting_t *setting)
{
	loader->rule->has_group = true;
	return id_load(loader, setting, group_lookup, &loader->rule->gid);
}

static int class_add(struct loader *loader, const config_setting_t *setting)
{
	const char *name = config_setting_get_string(setting);

	if (!name) {
		return refuse(loader, line_of(setting),
			      "\"class\" must be \"*\", a name or names [ \"...\", ... ]");
	}
	for (unsigned int i = 1; i < POLICY_CLASS_COUNT; i++) {
		if (strcmp(name, policy_class_names[i]) == 0) {
			loader->rule->classes |= UINT32_C(1) << i;
			return 0;
		}
	}
	return refuse(loader, line_of(setting), "there is no device class \"%s\"", name);
}

static int rule_class_load(struct loader *loader, const config_setting_t *setting)
{
	const char *name = config_setting_get_string(setting);
	int type = config_setting_type(setting);

	if (name && strcmp(name, "*") == 0) {
		loader->rule->classes = UINT32_MAX & ~UINT32_C(1);
		return 0;
	}
	if ((type != CONFIG_TYPE_ARRAY && type != CONFIG_TYPE_LIST) ||
	    config_setting_length(setting) == 0) {
		return class_add(loader, setting);
	}
	for (int i = 0; i < config_setting_length(setting); i++) {
		int r = class_add(loader, config_setting_get_elem(setting, (unsigned int)i));

		if (r < 0) {
			return r;
		}
	}
	return 0;
}

static int rule_register_load(struct loader *loader, const config_setting_t *setting)
{
	loader->rule->keys |= POLICY_KEY_REGISTER;
	return bool_load(loader, setting, &loader->rule->may_register);
}

static int rule_promise_load(struct loader *loader, const config_setting_t *setting)
{
	loader->rule->keys |= POLICY_KEY_PROMISE;
	return bool_load(loader, setting, &loader->rule->may_promise);
}

static int names_load(struct loader *loader, const config_setting_t *setting,
		      struct policy_names *names, bool *ret_allowed)
{
	const config_setting_t *wrong = setting;
	int r = policy_names_load(names, setting, ret_allowed, &wrong);

	if (r == -EINVAL) {
		return refuse(loader, line_of(wrong),
			      "\"%s\" must be true, false, a pattern of names (printable, without "
			      "space) or several [ \"...\", ... ]",
			      config_setting_name(setting));
	}
	return r < 0 ? fail(loader, r) : 0;
}

static int rule_publish_load(struct loader *loader, const config_setting_t *setting)
{
	struct policy_rule *rule = loader->rule;

	rule->keys |= POLICY_KEY_PUBLISH;
	return names_load(loader, setting, &rule->publish, &rule->may_publish);
}

static int rule_find_load(struct loader *loader, const config_setting_t *setting)
{
	struct policy_rule *rule = loader->rule;

	rule->keys |= POLICY_KEY_FIND;
	return names_load(loader, setting, &rule->find, &rule->may_find);
}

static int rule_connect_load(struct loader *loader, const config_setting_t *setting)
{
	loader->rule->keys |= POLICY_KEY_CONNECT;
	return bool_load(loader, setting, &loader->rule->may_connect);
}

static int rule_inspect_load(struct loader *loader, const config_setting_t *setting)
{
	static const char *const names[] = {
		[POLICY_INSPECT_NONE] = "none",
		[POLICY_INSPECT_OWN] = "own",
		[POLICY_INSPECT_ALL] = "all",
	};
	const char *name = config_setting_get_string(setting);

	loader->rule->keys |= POLICY_KEY_INSPECT;
	for (unsigned int i = 0; name && i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(name, names[i]) == 0) {
			loader->rule->inspect = i;
			return 0;
		}
	}
	return refuse(loader, line_of(setting), "\"inspect\" must be \"none\", \"own\" or \"all\"");
}

static int rule_optional_load(struct loader *loader, const config_setting_t *setting)
{
	return bool_load(loader, setting, &loader->rule_optional);
}

/* Do the keys of the rule make sense together? */
static int rule_check(struct loader *loader, unsigned int line, bool has_class)
{
	const struct policy_rule *rule = loader->rule;

	if (!rule->has_user && !rule->has_group) {
		return refuse(loader, line, "a rule needs user or group (user = \"*\" is anybody)");
	}
	if (has_class && !(rule->keys & (POLICY_KEY_REGISTER | POLICY_KEY_PROMISE))) {
		return refuse(loader, line,
			      "\"class\" without \"register\" or \"promise\" decides nothing");
	}
	if (!rule->keys && !rule->limits.present) {
		return refuse(loader, line,
			      "a rule needs connect, register, promise, publish, find, inspect or "
			      "limits");
	}
	return 0;
}

/* Adds "user NAME" or "group NAME" to the text, which may be NULL; NULL: no memory. */
static char *who_add(char *who, const config_setting_t *setting)
{
	const char *name = config_setting_get_string(setting);
	char *longer = NULL;
	int r = name ? asprintf(&longer, "%s%s%s %s", who ? who : "", who ? ", " : "",
				config_setting_name(setting), name)
		     : asprintf(&longer, "%s%s%s %lld", who ? who : "", who ? ", " : "",
				config_setting_name(setting), config_setting_get_int64(setting));

	free(who);
	return r < 0 ? NULL : longer;
}

/* How an administrator knows the rule: where it is, and whom it is about. */
static int rule_label(struct loader *loader, const config_setting_t *group)
{
	static const char *const names[] = { "user", "group" };
	struct policy_rule *rule = loader->rule;

	if (asprintf(&rule->origin, "%s:%u", loader->name, line_of(group)) < 0) {
		rule->origin = NULL;
		return fail(loader, -ENOMEM);
	}
	for (size_t i = 0; i < 2; i++) {
		const config_setting_t *setting = config_setting_get_member(group, names[i]);

		if (setting) {
			rule->who = who_add(rule->who, setting);
		}
	}
	return rule->who ? 0 : fail(loader, -ENOMEM);
}

static int rule_load(struct loader *loader, const config_setting_t *group)
{
	static const struct key keys[] = {
		{ "user", rule_user_load },         { "group", rule_group_load },
		{ "optional", rule_optional_load }, { "class", rule_class_load },
		{ "register", rule_register_load }, { "inspect", rule_inspect_load },
		{ "connect", rule_connect_load },   { "limits", limits_load },
		{ "promise", rule_promise_load },   { "publish", rule_publish_load },
		{ "find", rule_find_load },
	};
	const config_setting_t *optional = config_setting_get_member(group, "optional");
	struct policy_rule *rule = &loader->policy->rules[loader->policy->rule_count];
	int r = 0;

	*rule = (struct policy_rule){
		.classes = UINT32_MAX & ~UINT32_C(1),
		.at = origin_of(loader, group),
	};
	loader->rule = rule;
	loader->rule_optional = false;
	loader->rule_absent = false;
	/* Read `optional` first, wherever it is written: the other keys depend on it. */
	if (optional) {
		r = rule_optional_load(loader, optional);
	}
	if (config_setting_get_member(group, "class")) {
		rule->classes = 0;
	}
	if (r == 0) {
		r = group_load(loader, group, keys, sizeof(keys) / sizeof(keys[0]));
	}
	if (r == 0) {
		r = rule_check(loader, line_of(group), config_setting_get_member(group, "class"));
	}
	if (r == 0 && !loader->rule_absent) {
		r = rule_label(loader, group);
	}
	loader->rule = NULL;
	if (r < 0 || loader->rule_absent) {
		policy_rule_clear(rule);
		return r;
	}
	loader->policy->rule_count++;
	return 0;
}

static int rules_load(struct loader *loader, const config_setting_t *list)
{
	int length = config_setting_length(list);

	if (config_setting_type(list) != CONFIG_TYPE_LIST) {
		return refuse(loader, line_of(list), "\"rules\" must be a list ( { ... }, ... )");
	}
	struct policy *policy = loader->policy;
	struct policy_rule *rules = reallocarray(
		policy->rules, policy->rule_count + (size_t)length + 1, sizeof(*rules));
	if (!rules) {
		return fail(loader, -ENOMEM);
	}
	policy->rules = rules;
	for (int i = 0; i < length; i++) {
		const config_setting_t *group = config_setting_get_elem(list, (unsigned int)i);
		int r;

		if (config_setting_type(group) != CONFIG_TYPE_GROUP) {
			return refuse(loader, line_of(group), "a rule must be a group { ... }");
		}
		r = rule_load(loader, group);
		if (r < 0) {
			return r;
		}
	}
	return 0;
}

/* -------------------------------------------------------------------------- the whole file --- */

static int version_load(struct loader *loader, const config_setting_t *setting)
{
	uint64_t version;

	return number_load(loader, setting, POLICY_VERSION, POLICY_VERSION, &version);
}

static int root_load(struct loader *loader, const config_setting_t *root)
{
	static const struct key keys[] = {
		{ "version", version_load },
		{ "settings", settings_load },
		{ "limits", limits_load },
		{ "rules", rules_load },
	};
	static const char *const needed[] = { "version", "rules" };

	for (size_t i = 0; i < (loader->whole ? 2 : 1); i++) {
		if (!config_setting_get_member(root, needed[i])) {
			return refuse(loader, 1, "\"%s\" is missing", needed[i]);
		}
	}
	return group_load(loader, root, keys, sizeof(keys) / sizeof(keys[0]));
}

void policy_init(struct policy *policy)
{
	for (size_t i = 0; i < POLICY_SETTING_COUNT; i++) {
		setting_store(policy, &policy_setting_specs[i], policy_setting_specs[i].initial);
	}
}

int policy_read(struct policy *policy, const config_t *config, const char *name, bool whole,
		char *ret_error, size_t error_size)
{
	struct loader loader = {
		.name = name,
		.whole = whole,
		.error = ret_error,
		.error_size = error_size,
		.policy = policy,
	};
	return root_load(&loader, config_root_setting(config));
}
