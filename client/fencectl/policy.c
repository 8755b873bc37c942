// SPDX-License-Identifier: MIT
/* Whether a file is a policy, by the daemon's own reader; and what the daemon's policy says of a user, by the daemon. */
#include <errno.h>
#include <grp.h>
#include <libgen.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/rules/policy-files.h"
#include "inspect.h"
#include "json.h"
#include "policy-list.h"

#define GROUPS_MAX 64 /* of a user with more, the daemon regards the first group alone */

/* --------------------------------------------------------------------------------- check FILE -- */

/* A drop-in need not have rules. */
static bool is_drop_in(const char *path)
{
	char *copy = strdup(path);
	const char *directory = copy ? basename(dirname(copy)) : "";
	bool found = strcmp(directory, "policy.d") == 0 || strcmp(directory, "user-policy.d") == 0;
	free(copy);
	return found;
}

static int file_check(const char *path, char *ret_error, size_t error_size)
{
	struct policy *policy;
	char *text;
	int r = policy_file_read(path, &text, ret_error, error_size);
	if (r < 0) {
		return r;
	}
	const struct policy_part part = { .name = path, .text = text, .whole = !is_drop_in(path) };
	r = policy_load_parts(&part, 1, &policy, ret_error, error_size);
	free(text);
	if (r == 0) {
		policy_destroy(policy);
	}
	return r;
}

static int check(const struct options *options)
{
	const char *path = options->operands[1];
	char error[512] = "";
	int r = file_check(path, error, sizeof(error));
	if (options->json) {
		struct json_object *object = json_object_new_object();
		json_object_object_add(object, "file", json_object_new_string(path));
		json_object_object_add(object, "ok", json_object_new_boolean(r == 0));
		json_object_object_add(object, "error", json_object_new_string(error));
		json_print(object);
	} else if (r == 0) {
		printf("%s: ok\n", path);
	} else {
		fprintf(stderr, "fencectl: %s\n", error);
	}
	return r == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* ------------------------------------------------------------------------------ show and test -- */

static const struct passwd *user_find(const char *name)
{
	uint64_t number;
	const struct passwd *user = getpwnam(name);
	return user || !number_read(name, &number) || number >= UINT32_MAX
		       ? user
		       : getpwuid((uid_t)number);
}

/* The groups that a client of that user would have. */
static void groups_fill(Fbk__Wire__InspectPolicy *about, const struct passwd *user)
{
	static gid_t groups[GROUPS_MAX];
	static uint32_t numbers[GROUPS_MAX];
	int count = GROUPS_MAX;
	if (getgrouplist(user->pw_name, user->pw_gid, groups, &count) < 0) {
		return;
	}
	for (int i = 0; i < count; i++) {
		numbers[i] = groups[i];
	}
	about->n_groups = (size_t)count;
	about->groups = numbers;
}

/* Users that this machine does not know may exist in a container: they have a number and no groups. */
static bool user_fill(Fbk__Wire__InspectPolicy *about, const char *name)
{
	const struct passwd *user = user_find(name);
	uint64_t number;
	if (user) {
		about->uid = user->pw_uid;
		about->gid = user->pw_gid;
		groups_fill(about, user);
	} else if (number_read(name, &number) && number < UINT32_MAX) {
		about->uid = (uint32_t)number;
		about->gid = UINT32_MAX; /* nobody's group */
	} else {
		fprintf(stderr, "fencectl: policy: there is no user %s\n", name);
		return false;
	}
	return true;
}

static int show(const struct options *options)
{
	Fbk__Wire__InspectPolicy about = FBK__WIRE__INSPECT_POLICY__INIT;
	if (options->as) {
		about.part = FBK__WIRE__INSPECT_POLICY__PART__USER;
		if (!user_fill(&about, options->as)) {
			return EXIT_FAILURE;
		}
	}
	return policy_list_show(options, "policy", &about);
}

static int answer_print(const Fbk__Wire__PolicyEntry *entry, bool json)
{
	bool no = strcmp(entry->answer, "no") == 0 || strcmp(entry->answer, "none") == 0;
	if (json) {
		json_print(json_from_message(&entry->base));
	} else {
		printf("%s: %s%s%s\n", entry->answer, policy_place(entry),
		       entry->who[0] ? ", " : "", entry->who);
	}
	return no ? EXIT_NO : EXIT_SUCCESS;
}

static int test(const struct options *options)
{
	Fbk__Wire__InspectPolicy about = FBK__WIRE__INSPECT_POLICY__INIT;
	struct fbk_context *context;
	struct reply reply;
	about.part = FBK__WIRE__INSPECT_POLICY__PART__TEST;
	about.key = request_text(options->operands[2]);
	about.of = request_text(options->operands[3]);
	if (!user_fill(&about, options->operands[1]) || connect_or_explain(options, &context) < 0) {
		return EXIT_FAILURE;
	}
	int result = EXIT_FAILURE;
	if (inspect_policy(context, &about, &reply) < 0) {
		explain_failure("policy");
	} else {
		if (reply.message->policy->n_entries == 1) {
			result = answer_print(reply.message->policy->entries[0], options->json);
		}
		reply_finish(&reply);
	}
	fbk_disconnect(context);
	return result;
}

static const struct {
	const char *name;
	int operands_min, operands_max;
	int (*run)(const struct options *options);
} parts[] = {
	{ "check", 1, 1, check },
	{ "show", 0, 0, show },
	{ "test", 2, 3, test },
};

int verb_policy(const struct options *options)
{
	int given = 0;
	while (given < OPERANDS_MAX && options->operands[given]) {
		given++;
	}
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		if (strcmp(options->operands[0], parts[i].name) == 0 &&
		    given - 1 >= parts[i].operands_min && given - 1 <= parts[i].operands_max) {
			return parts[i].run(options);
		}
	}
	fputs("Usage: fencectl [OPTION]... policy check FILE\n"
	      "       fencectl [OPTION]... policy show [--as USER]\n"
	      "       fencectl [OPTION]... policy test USER connect | inspect\n"
	      "       fencectl [OPTION]... policy test USER register | promise CLASS\n"
	      "       fencectl [OPTION]... policy test USER publish | find NAME\n",
	      stderr);
	return EXIT_USAGE;
}
