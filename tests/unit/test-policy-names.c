// SPDX-License-Identifier: MIT
/* Which names of links a policy lets which users publish and find. */
#include "daemon/rules/policy.h"

#include <errno.h>
#include <string.h>

#include "tests/suite.h"

static struct policy *policy;
static char error[512];

static void teardown(void)
{
	policy_destroy(policy);
	policy = NULL;
}

static void load(const char *text)
{
	int r = policy_load_string("p", text, &policy, error, sizeof(error));

	ck_assert_msg(r == 0, "%s: %s", text, error);
}

static bool may_publish(uid_t uid, const char *name, const char **ret_rule)
{
	struct policy_subject who = { .uid = uid, .gid = uid };

	return policy_may_publish(policy, &who, name, ret_rule);
}

static bool may_find(uid_t uid, const char *name, const char **ret_rule)
{
	struct policy_subject who = { .uid = uid, .gid = uid };

	return policy_may_find(policy, &who, name, ret_rule);
}

/* A rule applies to names that match its patterns: others go on to the next rule. */
START_TEST(names_by_pattern)
{
	const char *rule = NULL;

	load("version = 1; rules = (\n"
	     "{ user = 7; publish = [\"encoder.*\", \"cam[0-9]\"]; find = false; },\n"
	     "{ user = 7; publish = (\"screen\"); },\n"
	     "{ user = 8; find = true; publish = \"a?\"; },\n"
	     "{ user = 9; publish = false; },\n"
	     "{ user = \"*\"; find = \"pub*\"; publish = \"encoder.shared\"; } );");
	ck_assert(may_publish(7, "encoder.0", &rule));
	ck_assert_str_eq(rule, "p:2");
	ck_assert(may_publish(7, "encoder.", NULL));
	ck_assert(may_publish(7, "encoder.a/b", NULL));
	ck_assert(may_publish(7, "cam3", &rule));
	ck_assert_str_eq(rule, "p:2");
	ck_assert(may_publish(7, "screen", &rule));
	ck_assert_str_eq(rule, "p:3");
	ck_assert(!may_publish(7, "encoder", &rule));
	ck_assert_str_eq(rule, "no rule matches");
	ck_assert(!may_publish(7, "an-encoder.0", NULL));
	ck_assert(!may_publish(7, "cam33", NULL));
	ck_assert(!may_publish(7, "Screen", NULL));
	ck_assert(may_publish(7, "encoder.shared", &rule));
	ck_assert_str_eq(rule, "p:2");

	ck_assert(!may_find(7, "public", &rule)); /* false is about all names */
	ck_assert_str_eq(rule, "p:2");
	ck_assert(may_find(8, "anything", &rule)); /* and so is true */
	ck_assert_str_eq(rule, "p:4");
	ck_assert(may_publish(8, "ab", &rule));
	ck_assert_str_eq(rule, "p:4");
	ck_assert(!may_publish(8, "abc", NULL));
	ck_assert(may_publish(8, "encoder.shared", &rule));
	ck_assert_str_eq(rule, "p:6");
	ck_assert(!may_publish(9, "encoder.shared", &rule));
	ck_assert_str_eq(rule, "p:5");
	ck_assert(may_find(9, "public", &rule));
	ck_assert_str_eq(rule, "p:6");
	ck_assert(!may_find(9, "private", &rule));
	ck_assert_str_eq(rule, "no rule matches");
	/* Neither decides the other questions. */
	struct policy_subject who = { .uid = 8, .gid = 8 };
	ck_assert(!policy_may_connect(policy, &who, NULL));
	ck_assert(!policy_may_register(policy, &who, 8, NULL));
}
END_TEST

/* Patterns of a rule that is left out, or has an error, are freed too (with a sanitizer). */
START_TEST(names_left_out)
{
	load("version = 1; rules = (\n"
	     "{ user = \"no-such-user\"; optional = true; publish = [\"a\", \"b\"]; find = \"c\"; "
	     "},\n"
	     "{ user = 7; find = \"d\"; } );");
	ck_assert(!may_find(7, "c", NULL));
	ck_assert(may_find(7, "d", NULL));
}
END_TEST

static const struct refusal {
	const char *text;
	const char *where;
	const char *what;
} refusals[] = {
	{ "version = 1; rules = ( { user = 1;\npublish = 1; } );",
	  "p:2:", "\"publish\" must be true, false, a pattern" },
	{ "version = 1; rules = ( { user = 1;\nfind = []; } );", "p:2:", "\"find\" must be true" },
	{ "version = 1; rules = ( { user = 1;\nfind = {}; } );", "p:2:", "\"find\" must be true" },
	{ "version = 1; rules = ( { user = 1;\nfind = (\"a\",\ntrue); } );",
	  "p:3:", "\"find\" must be true" },
	{ "version = 1; rules = ( { user = 1;\npublish = [\"a\",\n\"\"]; } );",
	  "p:3:", "\"publish\" must be true" },
	{ "version = 1; rules = ( { user = 1;\npublish = \"a b\"; } );",
	  "p:2:", "\"publish\" must be true" },
	{ "version = 1; rules = ( { user = 1;\npublish = \"\xc3\xa4*\"; } );",
	  "p:2:", "(printable, without space)" },
	{ "version = 1; rules = ( { user = 1; find = true;\nfind = true; } );",
	  "p:2:", "duplicate" },
	{ "version = 1; rules = (\n{ user = 1; class = \"cpu\"; publish = true; } );",
	  "p:2:", "\"class\" without" },
	{ "version = 1; rules = ( { user = 7; publish = [\"a\", \"b\"]; },\n"
	  "{ user = 7; find = [\"c\", \"d\"]; bad = 1; } );",
	  "p:2:", "unknown key \"bad\"" },
};

START_TEST(refused)
{
	const struct refusal *refusal = &refusals[_i];

	error[0] = '\0';
	ck_assert_int_eq(policy_load_string("p", refusal->text, &policy, error, sizeof(error)),
			 -EINVAL);
	ck_assert_ptr_null(policy);
	ck_assert_msg(strncmp(error, refusal->where, strlen(refusal->where)) == 0 &&
			      strstr(error, refusal->what),
		      "\"%s\" is not \"%s ... %s\"", error, refusal->where, refusal->what);
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, NULL, teardown);
	tcase_add_test(tcase, names_by_pattern);
	tcase_add_test(tcase, names_left_out);
	ADD_LOOP(tcase, refused, refusals);
}

int main(void)
{
	return suite_main("policy-names", add);
}
