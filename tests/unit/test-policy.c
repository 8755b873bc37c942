// SPDX-License-Identifier: MIT
/* POLICY_DIR, from the build: where the default policies are. */
#include "daemon/rules/policy.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/suite.h"

#define CPU      8
#define STRANGER 4242424

static struct policy *policy;
static char error[512];

static void teardown(void)
{
	policy_destroy(policy);
	policy = NULL;
}

static void load(const char *text)
{
	policy_destroy(policy);
	policy = NULL;
	int r = policy_load_string("p", text, &policy, error, sizeof(error));

	ck_assert_msg(r == 0, "%s: %s", text, error);
	ck_assert_ptr_nonnull(policy);
}

/* The message starts with `where` and contains `what`. */
static void load_refused(const char *text, const char *where, const char *what)
{
	struct policy *untouched = policy;

	error[0] = '\0';
	ck_assert_int_eq(policy_load_string("p", text, &untouched, error, sizeof(error)), -EINVAL);
	ck_assert_ptr_eq(untouched, policy);
	ck_assert_msg(strncmp(error, where, strlen(where)) == 0 && strstr(error, what),
		      "\"%s\" is not \"%s ... %s\" for %s", error, where, what, text);
}

static struct policy_subject subject(uid_t uid)
{
	return (struct policy_subject){ .uid = uid, .gid = STRANGER };
}

static bool may_connect(uid_t uid)
{
	struct policy_subject who = subject(uid);

	return policy_may_connect(policy, &who, NULL);
}

static bool may_register(uid_t uid, unsigned int device_class)
{
	struct policy_subject who = subject(uid);

	return policy_may_register(policy, &who, device_class, NULL);
}

static bool may_publish(uid_t uid, const char *name, const char **ret_rule)
{
	struct policy_subject who = subject(uid);

	return policy_may_publish(policy, &who, name, ret_rule);
}

static bool may_find(uid_t uid, const char *name, const char **ret_rule)
{
	struct policy_subject who = subject(uid);

	return policy_may_find(policy, &who, name, ret_rule);
}

static uint64_t limit_of(uid_t uid, enum account_resource resource)
{
	struct policy_subject who = subject(uid);
	uint64_t limits[ACCOUNT_RESOURCE_COUNT];

	policy_limits(policy, &who, limits);
	return limits[resource];
}

/* ------------------------------------------------------------------------ default policies --- */

static void expect_defaults(void)
{
	const struct policy_settings *settings = policy_settings(policy);

	for (size_t i = 0; i < POLICY_SETTING_COUNT; i++) {
		const struct policy_setting_spec *spec = &policy_setting_specs[i];
		uint64_t number;

		memcpy(&number, (const char *)settings + spec->offset, sizeof(number));
		ck_assert_msg(number == spec->initial * spec->scale, "%s", spec->key);
		ck_assert_uint_ge(spec->initial, spec->minimum);
		ck_assert_uint_le(spec->initial, spec->maximum);
	}
	ck_assert(!settings->promises);
	ck_assert(!settings->implicit_promises);
	for (enum account_resource i = 0; i < ACCOUNT_RESOURCE_COUNT; i++) {
		ck_assert_msg(limit_of(STRANGER, i) == account_limits[i].per_user, "%s",
			      account_limits[i].key);
		ck_assert_uint_le(account_limits[i].per_user, POLICY_LIMIT_MAX);
	}
}

START_TEST(system_default)
{
	struct policy_subject root = subject(0);
	struct policy_subject stranger = subject(STRANGER);
	int r = policy_load_file(POLICY_DIR "/system.conf", &policy, error, sizeof(error));

	ck_assert_msg(r == 0, "%s", error);
	expect_defaults();
	ck_assert(may_connect(0));
	ck_assert(may_connect(STRANGER));
	for (unsigned int i = 1; i < POLICY_CLASS_COUNT; i++) {
		ck_assert(may_register(0, i));
		ck_assert(!may_register(STRANGER, i));
	}
	ck_assert(may_publish(0, "any", NULL));
	ck_assert(may_find(0, "any", NULL));
	ck_assert(!may_publish(STRANGER, "any", NULL));
	ck_assert(!may_find(STRANGER, "any", NULL));
	ck_assert_int_eq(policy_inspect(policy, &root, NULL), POLICY_INSPECT_ALL);
	ck_assert_int_eq(policy_inspect(policy, &stranger, NULL), POLICY_INSPECT_OWN);

	/* With the group where there is one; without it the rule is left out, which loading shows.
	 */
	const struct group *group = getgrnam("fencebroker");
	gid_t gid = group ? group->gr_gid : STRANGER;

	stranger.gid = gid;
	ck_assert(policy_may_register(policy, &stranger, CPU, NULL) == (group != NULL));
	ck_assert(policy_may_find(policy, &stranger, "any", NULL) == (group != NULL));
	ck_assert(!policy_may_publish(policy, &stranger, "any", NULL));
}
END_TEST

START_TEST(user_default)
{
	struct policy_subject self = subject(geteuid());
	struct policy_subject stranger = subject(STRANGER);
	int r = policy_load_file(POLICY_DIR "/user.conf", &policy, error, sizeof(error));

	ck_assert_msg(r == 0, "%s", error);
	expect_defaults();
	ck_assert(may_connect(geteuid()));
	ck_assert(!may_connect(STRANGER));
	for (unsigned int i = 1; i < POLICY_CLASS_COUNT; i++) {
		ck_assert(may_register(geteuid(), i));
		ck_assert(!may_register(STRANGER, i));
	}
	ck_assert(may_publish(geteuid(), "any", NULL));
	ck_assert(may_find(geteuid(), "any", NULL));
	ck_assert(!may_publish(STRANGER, "any", NULL));
	ck_assert(!may_find(STRANGER, "any", NULL));
	ck_assert_int_eq(policy_inspect(policy, &self, NULL), POLICY_INSPECT_ALL);
	ck_assert_int_eq(policy_inspect(policy, &stranger, NULL), POLICY_INSPECT_NONE);
}
END_TEST

/* ------------------------------------------------------------------------------ evaluation --- */

START_TEST(nothing_matches)
{
	struct policy_subject who = subject(1);
	const char *rule = NULL;

	load("version = 1; rules = ();");
	ck_assert(!policy_may_connect(policy, &who, &rule));
	ck_assert_str_eq(rule, "no rule matches");
	rule = NULL;
	ck_assert(!policy_may_register(policy, &who, CPU, &rule));
	ck_assert_str_eq(rule, "no rule matches");
	rule = NULL;
	ck_assert_int_eq(policy_inspect(policy, &who, &rule), POLICY_INSPECT_NONE);
	ck_assert_str_eq(rule, "no rule matches");
	expect_defaults();
}
END_TEST

START_TEST(first_match_decides)
{
	struct policy_subject who = subject(7);
	const char *rule = NULL;

	load("version = 1;\n"
	     "rules = (\n"
	     " { user = 6; connect = true; },\n"
	     " { user = 7; inspect = \"own\"; },\n" /* does not decide about connecting */
	     " { user = 7;\n"
	     "   connect = false; },\n"
	     " { user = \"*\"; connect = true; inspect = \"all\"; }\n"
	     ");");
	ck_assert(may_connect(6));
	ck_assert(!policy_may_connect(policy, &who, &rule));
	ck_assert_str_eq(rule, "p:5");
	ck_assert_int_eq(policy_inspect(policy, &who, &rule), POLICY_INSPECT_OWN);
	ck_assert_str_eq(rule, "p:4");
	who = subject(8);
	ck_assert(policy_may_connect(policy, &who, &rule));
	ck_assert_str_eq(rule, "p:7");
}
END_TEST

START_TEST(inspect_none_stops)
{
	struct policy_subject who = subject(7);

	load("version = 1; rules = ( { user = 7; inspect = \"none\"; },"
	     " { user = \"*\"; inspect = \"all\"; } );");
	ck_assert_int_eq(policy_inspect(policy, &who, NULL), POLICY_INSPECT_NONE);
	who.uid = 8;
	ck_assert_int_eq(policy_inspect(policy, &who, NULL), POLICY_INSPECT_ALL);
}
END_TEST

START_TEST(classes)
{
	static const char *const names[] = { "gpu",     "encoder", "decoder",    "display",
					     "capture", "network", "compositor", "cpu" };

	for (unsigned int i = 0; i < 8; i++) {
		char text[128];

		ck_assert_str_eq(policy_class_names[i + 1], names[i]);
		snprintf(text, sizeof(text),
			 "version = 1; rules = ( { user = 7; class = \"%s\"; register = true; } );",
			 names[i]);
		load(text);
		for (unsigned int asked = 0; asked < 40; asked++) {
			ck_assert(may_register(7, asked) == (asked == i + 1));
		}
		ck_assert(!may_register(7, 32 + i + 1));
		ck_assert(!may_register(7, UINT32_MAX));
	}
	/* A rule for other classes decides nothing; a list means all its classes. */
	load("version = 1; rules = ("
	     " { user = 7; class = [\"cpu\", \"gpu\"]; register = false; },"
	     " { user = 7; class = (\"encoder\"); register = false; },"
	     " { user = 7; register = true; },"
	     " { user = 8; class = \"*\"; register = true; } );");
	ck_assert(!may_register(7, 1));
	ck_assert(!may_register(7, 2));
	ck_assert(may_register(7, 3));
	ck_assert(!may_register(7, CPU));
	for (unsigned int asked = 0; asked < 40; asked++) {
		ck_assert(may_register(8, asked) == (asked >= 1 && asked <= 8));
	}
}
END_TEST

START_TEST(groups)
{
	const gid_t further[] = { 10, 20, 30 };
	struct policy_subject who = { .uid = 7, .gid = 5, .groups = further, .group_count = 3 };

	load("version = 1; rules = ( { group = 30; connect = true; },"
	     " { group = 5; inspect = \"all\"; },"
	     " { group = 40; register = true; } );");
	ck_assert(policy_may_connect(policy, &who, NULL));
	ck_assert_int_eq(policy_inspect(policy, &who, NULL), POLICY_INSPECT_ALL);
	ck_assert(!policy_may_register(policy, &who, CPU, NULL));
	who.group_count = 2;
	ck_assert(!policy_may_connect(policy, &who, NULL));
	who.gid = 40;
	ck_assert(policy_may_register(policy, &who, CPU, NULL));

	/* Of a rule with both, both have to match. */
	load("version = 1; rules = ( { user = 7; group = 40; connect = true; },"
	     " { user = \"*\"; group = 50; connect = true; } );");
	ck_assert(policy_may_connect(policy, &who, NULL));
	who.uid = 8;
	ck_assert(!policy_may_connect(policy, &who, NULL));
	who.gid = 50;
	ck_assert(policy_may_connect(policy, &who, NULL));
}
END_TEST

START_TEST(names_and_ids)
{
	load("version = 1; rules = ( { user = \"root\"; connect = true; },"
	     " { group = \"root\"; register = true; },"
	     " { user = 4294967294; connect = true; } );");
	struct policy_subject who = { .uid = 1, .gid = 0 };

	ck_assert(may_connect(0));
	ck_assert(!may_connect(1));
	ck_assert(policy_may_register(policy, &who, CPU, NULL));
	ck_assert(!may_register(0, CPU));
	ck_assert(may_connect(4294967294));
	ck_assert(!may_connect(4294967293));
	load_refused("version = 1; rules = ( { user = 4294967295; connect = true; } );",
		     "p:1:", "from 0 to 4294967294");
	load("version = 1; rules = ( { user = \"self\"; connect = true; } );");
	ck_assert(may_connect(geteuid()));
	ck_assert(!may_connect(geteuid() + 1));
}
END_TEST

START_TEST(optional_rules)
{
	const char *rule = NULL;
	struct policy_subject who = subject(1);

	load("version = 1; rules = (\n"
	     " { user = \"no-such-user\"; optional = true; connect = false; },\n"
	     " { optional = true; connect = false; group = \"no-such-group\"; },\n"
	     " { group = \"no-such-group\"; user = \"*\"; connect = false; optional = true; },\n"
	     " { user = \"root\"; optional = true; connect = true; },\n"
	     " { user = 1; connect = true; } );");
	ck_assert(policy_may_connect(policy, &who, &rule));
	ck_assert_str_eq(rule, "p:6");
	ck_assert(may_connect(0));
	ck_assert(!may_connect(2));
	load_refused("version = 1; rules = (\n{\nuser = \"no-such-user\";\n connect = true; } );",
		     "p:3:", "no user \"no-such-user\"");
	load_refused("version = 1; rules = (\n{ optional = false;\n"
		     "group = \"no-such-group\"; connect = true; } );",
		     "p:3:", "no group \"no-such-group\"");
	/* A rule that is left out is still checked for errors. */
	load_refused("version = 1; rules = ( { user = \"no-such-user\"; optional = true;\n"
		     "connect = 1; } );",
		     "p:2:", "\"connect\" must be true or false");
}
END_TEST

START_TEST(limits_by_rule)
{
	load("version = 1;\n"
	     "limits: { fds = 100; tokens = 0; };\n"
	     "rules = ( { user = 7; limits: { fds = 7; exports = 70; }; },\n"
	     "          { user = \"*\"; limits: { exports = 50; }; },\n"
	     "          { user = 7; limits: { fds = 1; imports = 2; }; } );");
	ck_assert_uint_eq(limit_of(7, ACCOUNT_FDS), 7);
	ck_assert_uint_eq(limit_of(7, ACCOUNT_EXPORTS), 70);
	ck_assert_uint_eq(limit_of(7, ACCOUNT_IMPORTS), 2);
	ck_assert_uint_eq(limit_of(8, ACCOUNT_FDS), 100);
	ck_assert_uint_eq(limit_of(8, ACCOUNT_EXPORTS), 50);
	ck_assert_uint_eq(limit_of(8, ACCOUNT_IMPORTS), account_limits[ACCOUNT_IMPORTS].per_user);
	ck_assert_uint_eq(limit_of(8, ACCOUNT_TOKENS), 0);
	ck_assert_uint_eq(limit_of(7, ACCOUNT_TOKENS), 0);
}
END_TEST

/* --------------------------------------------------------------------------------- numbers --- */

/* libconfig alone may truncate values above 32 bits. */
START_TEST(big_numbers)
{
	load("version = 1; # 99999999999\n"
	     "limits: { page_bytes = 4294967297; fds = 2147483648; connections = 4294967297L; };\n"
	     "rules = ();");
	ck_assert_uint_eq(limit_of(1, ACCOUNT_PAGE_BYTES), 4294967297);
	ck_assert_uint_eq(limit_of(1, ACCOUNT_FDS), 2147483648);
	ck_assert_uint_eq(limit_of(1, ACCOUNT_SESSIONS), 4294967297);
}
END_TEST

START_TEST(limit_bounds)
{
	load("version = 1; rules = (); limits: { fds = 1099511627776; tokens = 0; };");
	ck_assert_uint_eq(limit_of(1, ACCOUNT_FDS), POLICY_LIMIT_MAX);
	ck_assert_uint_eq(limit_of(1, ACCOUNT_TOKENS), 0);
	load_refused("version = 1; rules = ();\nlimits: { fds = 1099511627777; };",
		     "p:2:", "\"fds\" must be from 0 to 1099511627776");
	load_refused("version = 1; rules = ();\n\nlimits: { fds = -1; };", "p:3:", "\"fds\"");
	load_refused("version = 1; rules = (); limits: { fds = -4294967295; };", "p:1:", "\"fds\"");
	load_refused("version = 1; rules = (); limits: { fds = 18446744073709551617; };",
		     "p:1:", "\"fds\"");
	load_refused("version = 1; rules = (); limits: { fds = 99999999999999999999999999; };",
		     "p:1:", "\"fds\"");
	load_refused("version = 1; rules = (); limits: { fds = 0x100000005; };",
		     "p:1:", "\"fds\" must be a decimal whole number");
	load_refused("version = 1; rules = (); limits: { fds = 1.5; };", "p:1:", "decimal whole");
	load_refused("version = 1; rules = (); limits: { fds = \"9\"; };", "p:1:", "decimal whole");
	load_refused("version = 1; rules = (); limits: { fds = true; };", "p:1:", "decimal whole");
}
END_TEST

static int setting_load(const struct policy_setting_spec *spec, uint64_t number)
{
	char text[128];

	teardown();
	snprintf(text, sizeof(text), "version = 1;\nsettings: { %s = %llu; };\nrules = ();",
		 spec->key, (unsigned long long)number);
	return policy_load_string("p", text, &policy, error, sizeof(error));
}

static uint64_t setting_of(const struct policy_setting_spec *spec)
{
	uint64_t number;

	memcpy(&number, (const char *)policy_settings(policy) + spec->offset, sizeof(number));
	return number;
}

START_TEST(setting_bounds)
{
	const struct policy_setting_spec *spec = &policy_setting_specs[_i];

	ck_assert_int_eq(setting_load(spec, spec->maximum), 0);
	ck_assert_uint_eq(setting_of(spec), spec->maximum * spec->scale);
	ck_assert_int_eq(setting_load(spec, spec->maximum + 1), -EINVAL);
	ck_assert_ptr_nonnull(strstr(error, spec->key));
	ck_assert(strncmp(error, "p:2: ", 5) == 0);
	ck_assert_int_eq(setting_load(spec, spec->minimum), 0);
	ck_assert_uint_eq(setting_of(spec), spec->minimum * spec->scale);
	ck_assert_int_eq(setting_load(spec, spec->minimum - 1), -EINVAL); /* or 2^64 - 1 */
}
END_TEST

/* Promising for a device is decided apart from registering it. */
START_TEST(promises_by_class)
{
	struct policy_subject seven = { .uid = 7, .gid = 7 };
	struct policy_subject eight = { .uid = 8, .gid = 8 };
	const char *rule;
	load("version = 1; rules = (\n"
	     "{ user = 7; promise = true; class = [\"gpu\", \"display\"]; },\n"
	     "{ user = 7; promise = false; class = \"*\"; },\n"
	     "{ user = \"*\"; register = true; } );");
	ck_assert(policy_may_promise(policy, &seven, 1, &rule));
	ck_assert_str_eq(rule, "p:2");
	ck_assert(policy_may_promise(policy, &seven, 4, NULL));
	ck_assert(!policy_may_promise(policy, &seven, 2, &rule));
	ck_assert_str_eq(rule, "p:3");
	ck_assert(!policy_may_promise(policy, &eight, 1, &rule));
	ck_assert_str_eq(rule, "no rule matches");
	ck_assert(!policy_may_promise(policy, &seven, 0, NULL));
	ck_assert(!policy_may_promise(policy, &seven, 33, NULL));
	ck_assert(policy_may_register(policy, &seven, 2, NULL));
}
END_TEST

START_TEST(settings_by_name)
{
	load("version = 1; rules = (); settings: { spin_us = 20; max_wait_ms = 30;\n"
	     " max_import_ms = 45; max_jump = 50; promise_ms = 1500;\n"
	     " poison_ms = 60; watcher_cpu_percent = 70;\n"
	     " promises = true; implicit_promises = true; };");
	ck_assert_uint_eq(policy_settings(policy)->spin_ns, 20000);
	ck_assert_uint_eq(policy_settings(policy)->max_wait_ms, 30);
	ck_assert_uint_eq(policy_settings(policy)->max_import_ms, 45);
	ck_assert_uint_eq(policy_settings(policy)->max_jump, 50);
	ck_assert_uint_eq(policy_settings(policy)->promise_ms, 1500);
	ck_assert_uint_eq(policy_settings(policy)->poison_ms, 60);
	ck_assert_uint_eq(policy_settings(policy)->watcher_cpu_percent, 70);
	ck_assert(policy_settings(policy)->promises);
	ck_assert(policy_settings(policy)->implicit_promises);
}
END_TEST

/* ---------------------------------------------------------------------------------- errors --- */

struct refusal {
	const char *text;
	const char *where;
	const char *what;
};

static const struct refusal refusals[] = {
	/* the whole file */
	{ "", "p:1:", "\"version\" is missing" },
	{ "rules = ();", "p:1:", "\"version\" is missing" },
	{ "version = 1;", "p:1:", "\"rules\" is missing" },
	{ "\nversion = 2; rules = ();", "p:2:", "\"version\" must be from 1 to 1" },
	{ "version = 0; rules = ();", "p:1:", "\"version\" must be from 1 to 1" },
	{ "version = \"1\"; rules = ();", "p:1:", "\"version\" must be" },
	{ "version = 1;\nrules = ();\nrule = ();", "p:3:", "unknown key \"rule\"" },
	{ "version = 1;\nversion = 1; rules = ();", "p:2:", "duplicate" },
	{ "version = 1;\n\n\nrules = ;", "p:4:", "syntax error" },
	{ "version = 1;\nrules = ( {", "p:2:", "syntax error" },
	{ "version = 1;\nrules = ( { user = \"*\n", "p:2:", "string has no end" },
	{ "version = 1;\nrules = ();\n@include \"/etc/passwd\"\n", "p:3:", "@include" },
	{ "version = 1; rules = {};", "p:1:", "\"rules\" must be a list" },
	{ "version = 1; rules = [];", "p:1:", "\"rules\" must be a list" },
	/* settings and limits */
	{ "version = 1; rules = ();\nsettings = 3;", "p:2:", "\"settings\" must be a group" },
	{ "version = 1; rules = ();\nsettings:\n{\nspin = 3; };", "p:4:", "unknown key \"spin\"" },
	{ "version = 1; rules = (); settings: {\npromise_ms = 1501; };",
	  "p:2:", "\"promise_ms\" must be from 1 to 1500" },
	{ "version = 1; rules = (); settings: {\nimplicit_promises = 1; };",
	  "p:2:", "true or false" },
	{ "version = 1; rules = (); settings: {\npromises = 0; };", "p:2:", "true or false" },
	{ "version = 1; rules = ();\nlimits = ();", "p:2:", "\"limits\" must be a group" },
	{ "version = 1; rules = ();\nlimits: {\nfd = 3; };", "p:3:", "unknown key \"fd\"" },
	{ "version = 1; rules = ();\nlimits: {\nfds = 3;\nfds = 3; };", "p:4:", "duplicate" },
	/* rules */
	{ "version = 1; rules = ( 3 );", "p:1:", "a rule must be a group" },
	{ "version = 1; rules = (\n{ },\n{ user = 1; connect = true; } );",
	  "p:2:", "needs user or group" },
	{ "version = 1; rules = (\n{ connect = true; } );", "p:2:", "needs user or group" },
	{ "version = 1; rules = (\n\n{ user = 1; } );",
	  "p:3:", "needs connect, register, promise, publish, find, inspect or limits" },
	{ "version = 1; rules = ( { user = 1; limits: { }; } );",
	  "p:1:", "needs connect, register, promise, publish, find, inspect or limits" },
	{ "version = 1; rules = ( { user = 1; class = \"cpu\"; connect = true; } );",
	  "p:1:", "\"class\" without \"register\" or \"promise\"" },
	{ "version = 1; rules = ( { user = 1;\nconnects = true; } );",
	  "p:2:", "unknown key \"connects\"" },
	{ "version = 1; rules = ( { user = 1;\nconnect = \"yes\"; } );", "p:2:", "true or false" },
	{ "version = 1; rules = ( { user = 1;\nregister = 1; } );", "p:2:", "true or false" },
	{ "version = 1; rules = ( { user = 1; connect = true;\noptional = 1; } );",
	  "p:2:", "true or false" },
	{ "version = 1; rules = ( { user = 1;\ninspect = true; } );", "p:2:", "\"inspect\" must" },
	{ "version = 1; rules = ( { user = 1;\ninspect = \"most\"; } );",
	  "p:2:", "\"inspect\" must" },
	{ "version = 1; rules = ( { user = 1; register = true;\nclass = \"npu\"; } );",
	  "p:2:", "no device class \"npu\"" },
	{ "version = 1; rules = ( { user = 1; register = true;\nclass = [\"cpu\",\n\"*\"]; } );",
	  "p:3:", "no device class \"*\"" },
	{ "version = 1; rules = ( { user = 1; register = true;\nclass = []; } );",
	  "p:2:", "\"class\" must be" },
	{ "version = 1; rules = ( { user = 1; register = true;\nclass = [8]; } );",
	  "p:2:", "\"class\" must be" },
	{ "version = 1; rules = ( { user = 1; register = true;\nclass = 8; } );",
	  "p:2:", "\"class\" must be" },
	{ "version = 1; rules = ( {\nuser = -1; connect = true; } );", "p:2:", "\"user\" must be" },
	{ "version = 1; rules = ( {\nuser = true; connect = true; } );", "p:2:", "\"user\" must" },
	{ "version = 1; rules = ( {\ngroup = \"*\"; connect = true; } );",
	  "p:2:", "no group \"*\"" },
	{ "version = 1; rules = ( {\ngroup = 1.0; connect = true; } );", "p:2:", "\"group\" must" },
	{ "version = 1; rules = ( {\nuser = \"\"; connect = true; } );", "p:2:", "no user \"\"" },
	{ "version = 1; rules = ( { user = 1;\nlimits: {\nfd = 3; }; } );",
	  "p:3:", "unknown key \"fd\"" },
	{ "version = 1; rules = ( { user = 1;\nlimits: {\nfds = -3; }; } );", "p:3:", "\"fds\"" },
	{ "version = 1; rules = ( { user = 1; connect = true;\nconnect = true; } );",
	  "p:2:", "duplicate" },
	/* rules after a good one are read too */
	{ "version = 1; rules = ( { user = 1; connect = true; },\n{ user = 1; bad = 1; } );",
	  "p:2:", "unknown key \"bad\"" },
};

START_TEST(refused)
{
	const struct refusal *refusal = &refusals[_i];

	load_refused(refusal->text, refusal->where, refusal->what);
}
END_TEST

/* Strings and comments are not searched for numbers and includes, and lines stay right behind
 * them. */
START_TEST(comments_and_strings)
{
	load("/* @include \"x\"\n 12345678901 \" */ version = 1; // @include 12345678901 \"\n"
	     "# @ \" /* \n"
	     "rules = ( { user = \"*\"; connect = true; } );");
	ck_assert(may_connect(1));
	load_refused("version = 1; /*\n\n*/ rules = ( { user = \"@12345678901\\\"#\";\n"
		     "connect = true; } );",
		     "p:3:", "no user \"@12345678901\"#\"");
	load_refused("version = 1; rules = (); x12345678901 = 1;",
		     "p:1:", "unknown key \"x12345678901\"");
	load_refused("version = 1;\n rules = (); /* without *\n/\n", "p:2:", "comment has no end");
	load_refused("version = 1; rules = (); /*/", "p:1:", "comment has no end");
	load_refused("version = 1; rules = ();\n\"without\n", "p:2:", "string has no end");
	load_refused("version = 1; rules = (); \"\\\"", "p:1:", "string has no end");
	load_refused("version = 1; rules = (); \"\\", "p:1:", "string has no end");
	load_refused("version = 1; rules = (); \"", "p:1:", "string has no end");
}
END_TEST

START_TEST(message_is_cut)
{
	char small[8] = "1234567";

	ck_assert_int_eq(policy_load_string("name", "rules = ();", &policy, small, 5), -EINVAL);
	ck_assert_str_eq(small, "name");
	ck_assert_int_eq(small[5], '6');
}
END_TEST

START_TEST(destroy_takes_null)
{
	policy_destroy(NULL);
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, NULL, teardown);
	tcase_add_test(tcase, system_default);
	tcase_add_test(tcase, user_default);
	tcase_add_test(tcase, nothing_matches);
	tcase_add_test(tcase, first_match_decides);
	tcase_add_test(tcase, inspect_none_stops);
	tcase_add_test(tcase, classes);
	tcase_add_test(tcase, groups);
	tcase_add_test(tcase, names_and_ids);
	tcase_add_test(tcase, optional_rules);
	tcase_add_test(tcase, limits_by_rule);
	tcase_add_test(tcase, big_numbers);
	tcase_add_test(tcase, limit_bounds);
	tcase_add_loop_test(tcase, setting_bounds, 0, POLICY_SETTING_COUNT);
	tcase_add_test(tcase, promises_by_class);
	tcase_add_test(tcase, settings_by_name);
	ADD_LOOP(tcase, refused, refusals);
	tcase_add_test(tcase, comments_and_strings);
	tcase_add_test(tcase, message_is_cut);
	tcase_add_test(tcase, destroy_takes_null);
}

int main(void)
{
	return suite_main("policy", add);
}
