// SPDX-License-Identifier: MIT
/* A policy of several files: drop-ins, which hide and override each other, and the last good one that is kept. */
#include "daemon/rules/policy-source.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/rules/policy.h"
#include "tests/suite.h"

#define MAIN  "main.conf"
#define LOCAL "etc"
#define RUN   "run"
#define LIB   "lib"
#define KEPT  "state/last-good-policy"

static char root[] = "/tmp/test-source-XXXXXX";
static char path[96], local[96], run[96], lib[96], state[96];
static const char *const directories[] = { local, run, lib, NULL };
static struct policy_source source;
static struct policy *policy;
static char error[512];

static const char *at(const char *name)
{
	static char text[160];
	snprintf(text, sizeof(text), "%s/%s", root, name);
	return text;
}

static void make(const char *name, char *ret_path, size_t size)
{
	snprintf(ret_path, size, "%s/%s", root, name);
	ck_assert_int_eq(mkdir(ret_path, 0700), 0);
}

static void setup(void)
{
	ck_assert_ptr_nonnull(mkdtemp(root));
	snprintf(path, sizeof(path), "%s/" MAIN, root);
	make(LOCAL, local, sizeof(local));
	make(RUN, run, sizeof(run));
	make(LIB, lib, sizeof(lib));
	make("state", state, sizeof(state));
	source = (struct policy_source){
		.path = path,
		.built_in = "version = 1; rules = ( { user = 100; connect = true; } );",
		.directories = directories,
		.state = state,
	};
}

static void teardown(void)
{
	char command[64];
	policy_destroy(policy);
	snprintf(command, sizeof(command), "rm -r %s", root);
	ck_assert_int_eq(system(command), 0);
}

static void put(const char *name, const char *text)
{
	FILE *file = fopen(at(name), "w");
	ck_assert_ptr_nonnull(file);
	ck_assert_int_ge(fputs(text, file), 0);
	ck_assert_int_eq(fclose(file), 0);
}

static void load(void)
{
	policy_destroy(policy);
	policy = NULL;
	int r = policy_source_load(&source, &policy, error, sizeof(error));
	ck_assert_msg(r == 0, "%s", error);
	ck_assert_int_eq(policy_keep_error(policy), 0);
}

static void start(const char *name, const char *where, const char *what)
{
	policy_destroy(policy);
	policy = NULL;
	ck_assert_int_eq(policy_source_start(&source, &policy, error, sizeof(error)), 0);
	ck_assert_str_eq(policy_name(policy), name);
	ck_assert_msg(strncmp(error, where, strlen(where)) == 0 && strstr(error, what), "%s",
		      error);
}

/* Which rule lets that user connect; it is named from the root. */
static void expect_rule(uid_t uid, bool allowed, const char *expected)
{
	const struct policy_subject subject = { .uid = uid, .gid = 4242424 };
	const char *rule;
	ck_assert_int_eq(policy_may_connect(policy, &subject, &rule), allowed);
	if (strncmp(rule, root, strlen(root)) == 0) {
		rule += strlen(root) + 1;
	}
	ck_assert_str_eq(rule, expected);
}

static void expect_files(const char *const *expected)
{
	size_t count = 0;
	for (; expected[count]; count++) {
		ck_assert_uint_lt(count, policy_file_count(policy));
		ck_assert_str_eq(policy_file(policy, count),
				 strcmp(expected[count], POLICY_BUILT_IN) == 0
					 ? POLICY_BUILT_IN
					 : at(expected[count]));
	}
	ck_assert_uint_eq(policy_file_count(policy), count);
}

#define EXPECT_FILES(...) expect_files((const char *const[]){ __VA_ARGS__, NULL })

/* -------------------------------------------------------------------------------- drop-ins -- */

START_TEST(nothing_is_there)
{
	load();
	ck_assert_str_eq(policy_name(policy), POLICY_BUILT_IN);
	EXPECT_FILES(POLICY_BUILT_IN);
	expect_rule(100, true, "built-in:1");
	source.directories = NULL;
	load();
	EXPECT_FILES(POLICY_BUILT_IN);
}
END_TEST

START_TEST(sorted_by_name)
{
	put(LIB "/10-a.conf", "version = 1;\nrules = ( { user = 1; connect = false; } );");
	put(LOCAL "/20-b.conf", "version = 1;\nrules = (\n { user = 1; connect = true; } );");
	put(RUN "/05-c.conf", "version = 1;\n\nsettings: { spin_us = 5; };");
	put(LOCAL "/no", "what is no policy");
	put(LOCAL "/.hidden.conf", "neither");
	put(LOCAL "/.conf", "neither");
	put(LOCAL "/30-c.conf~", "neither");
	put(MAIN, "version = 1;\nrules = ( { user = 2; connect = true; } );");
	load();
	ck_assert_str_eq(policy_name(policy), path);
	EXPECT_FILES(MAIN, RUN "/05-c.conf", LIB "/10-a.conf", LOCAL "/20-b.conf");
	expect_rule(1, false, LIB "/10-a.conf:2");
	expect_rule(2, true, MAIN ":2");
	expect_rule(100, false, "no rule matches"); /* the file replaces the built-in one */
}
END_TEST

/* Where the built-in policy stands in for the file, drop-ins decide before it. */
START_TEST(before_the_built_in)
{
	put(LIB "/a.conf", "version = 1; rules = ( { user = 100; connect = false; } );");
	load();
	EXPECT_FILES(LIB "/a.conf", POLICY_BUILT_IN);
	ck_assert_str_eq(policy_name(policy), POLICY_BUILT_IN);
	expect_rule(100, false, LIB "/a.conf:1");
}
END_TEST

static const char *const yes = "version = 1; rules = ( { user = 7; connect = true; } );";
static const char *const no = "version = 1; rules = ( { user = 7; connect = false; } );";

START_TEST(one_hides_another)
{
	put(LIB "/a.conf", no);
	load();
	expect_rule(7, false, LIB "/a.conf:1");
	put(RUN "/a.conf", yes);
	load();
	EXPECT_FILES(RUN "/a.conf", POLICY_BUILT_IN);
	expect_rule(7, true, RUN "/a.conf:1");
	put(LOCAL "/a.conf", no);
	load();
	expect_rule(7, false, LOCAL "/a.conf:1");
	/* A file that is hidden is not read: nothing is wrong with it. */
	put(LIB "/a.conf", "wrong");
	load();
	put(LOCAL "/a.conf", "");
	load();
	EXPECT_FILES(POLICY_BUILT_IN);
	ck_assert_int_eq(unlink(at(LOCAL "/a.conf")), 0);
	ck_assert_int_eq(symlink("/dev/null", at(LOCAL "/a.conf")), 0);
	load();
	EXPECT_FILES(POLICY_BUILT_IN);
	ck_assert_int_eq(unlink(at(LOCAL "/a.conf")), 0);
	load();
	EXPECT_FILES(RUN "/a.conf", POLICY_BUILT_IN);
}
END_TEST

START_TEST(keys_override)
{
	const struct policy_subject subject = { .uid = 9, .gid = 4242424 };
	uint64_t limits[ACCOUNT_RESOURCE_COUNT];
	put(MAIN, "version = 1; rules = ();\n"
		  "settings: { max_wait_ms = 1000; poison_ms = 5; promises = true; };\n"
		  "limits: { fds = 10; links = 20; };");
	put(LOCAL "/a.conf", "version = 1; settings: { poison_ms = 6; promises = false; };\n"
			     "limits: { links = 21; };");
	put(LOCAL "/b.conf", "version = 1; settings: { poison_ms = 7; };");
	load();
	const struct policy_settings *settings = policy_settings(policy);
	ck_assert_uint_eq(settings->max_wait_ms, 1000);
	ck_assert_uint_eq(settings->poison_ms, 7);
	ck_assert(!settings->promises);
	ck_assert_uint_eq(settings->max_import_ms, 60000); /* the default */
	policy_limits(policy, &subject, limits);
	ck_assert_uint_eq(limits[ACCOUNT_FDS], 10);
	ck_assert_uint_eq(limits[ACCOUNT_LINKS], 21);
	ck_assert_uint_eq(limits[ACCOUNT_WATCHES], account_limits[ACCOUNT_WATCHES].per_user);
}
END_TEST

static void expect_fault(int code, const char *where, const char *what)
{
	struct policy *none = NULL;
	ck_assert_int_eq(policy_source_load(&source, &none, error, sizeof(error)), code);
	ck_assert_ptr_null(none);
	ck_assert_msg(strncmp(error, at(where), strlen(at(where))) == 0 && strstr(error, what),
		      "%s", error);
}

START_TEST(faults_name_their_file)
{
	put(MAIN, "version = 1; rules = ();");
	put(LIB "/a.conf", "version = 1;\nlimits: { sesions = 1; };");
	expect_fault(-EINVAL, LIB "/a.conf:2", "sesions");
	put(LIB "/a.conf", "rules = ();");
	expect_fault(-EINVAL, LIB "/a.conf:1", "\"version\" is missing");
	put(LIB "/a.conf", "version = 1;"); /* only the main file must have rules */
	load();
	put(MAIN, "version = 1;");
	expect_fault(-EINVAL, MAIN ":1", "\"rules\" is missing");
	put(MAIN, "version = 1; rules = ();");
	ck_assert_int_eq(unlink(at(LIB "/a.conf")), 0);
	ck_assert_int_eq(mkdir(at(LIB "/a.conf"), 0700), 0);
	expect_fault(-EINVAL, LIB "/a.conf", "not a regular file");
	ck_assert_int_eq(rmdir(at(LIB "/a.conf")), 0);
	ck_assert_int_eq(symlink("nowhere", at(LIB "/a.conf")), 0);
	expect_fault(-ENOENT, LIB "/a.conf", "No such file");
}
END_TEST

START_TEST(alone)
{
	put(LIB "/a.conf", "wrong");
	source.alone = true;
	expect_fault(-ENOENT, MAIN, "No such file");
	put(MAIN, yes);
	load();
	EXPECT_FILES(MAIN);
	put(MAIN, "wrong");
	ck_assert_int_eq(policy_source_start(&source, &policy, error, sizeof(error)), -EINVAL);
}
END_TEST

/* 256 files, and a MiB of them. */
START_TEST(bounds)
{
	char name[32];
	put(MAIN, "version = 1; rules = ();");
	for (unsigned int i = 1; i < 256; i++) {
		snprintf(name, sizeof(name), LIB "/%u.conf", i);
		put(name, "version = 1;");
	}
	load();
	ck_assert_uint_eq(policy_file_count(policy), 256);
	put(RUN "/last.conf", "version = 1;");
	expect_fault(-EFBIG, RUN "/last.conf", "at most 256 files");
	ck_assert_int_eq(unlink(at(RUN "/last.conf")), 0);

	char *text = malloc(250000);
	ck_assert_ptr_nonnull(text);
	memset(text, ' ', 249999);
	text[249999] = '\0';
	memcpy(text, "version = 1;", 12);
	for (unsigned int i = 1; i <= 4; i++) {
		snprintf(name, sizeof(name), LIB "/%u.conf", i);
		put(name, text);
	}
	load();
	snprintf(name, sizeof(name), LIB "/5.conf");
	put(name, text);
	policy_destroy(policy);
	policy = NULL;
	ck_assert_int_eq(policy_source_load(&source, &policy, error, sizeof(error)), -EFBIG);
	ck_assert_ptr_nonnull(strstr(error, "more than 1 MiB"));
	free(text);
}
END_TEST

/* -------------------------------------------------------------------------- the last good one -- */

START_TEST(last_good)
{
	put(MAIN, "version = 1;\n\nrules = ( { user = 1; connect = true; } );\n");
	put(RUN "/a.conf", "version = 1;\nrules = ( { user = 2; connect = true; } );");
	start(path, "", "");
	put(RUN "/a.conf", "version = 1;\nrules = ( { user = ; } );");
	start(POLICY_LAST_GOOD, at(RUN "/a.conf:2"), "syntax error");
	EXPECT_FILES(MAIN, RUN "/a.conf");
	expect_rule(1, true, MAIN ":3");
	expect_rule(2, true, RUN "/a.conf:2");
	/* Running on it does not make it any younger: what was good last comes from files. */
	start(POLICY_LAST_GOOD, at(RUN "/a.conf:2"), "syntax error");
	put(RUN "/a.conf", "version = 1;");
	start(path, "", "");
	expect_rule(2, false, "no rule matches");
	put(MAIN, "wrong");
	start(POLICY_LAST_GOOD, at(MAIN ":1"), "syntax error");
	expect_rule(2, false, "no rule matches");
	/* A load keeps too, and also that there were no files. */
	ck_assert_int_eq(unlink(path), 0);
	load();
	put(MAIN, "wrong");
	start(POLICY_LAST_GOOD, at(MAIN ":1"), "syntax error");
	expect_rule(100, true, "built-in:1");
}
END_TEST

START_TEST(no_last_good)
{
	put(MAIN, "wrong");
	start(POLICY_BUILT_IN, at(MAIN ":1"), "syntax error");
	expect_rule(100, true, "built-in:1");
	ck_assert_int_eq(access(at(KEPT), F_OK), -1);
	source.state = NULL;
	start(POLICY_BUILT_IN, at(MAIN ":1"), "syntax error");
	source.state = "/nonexistent";
	start(POLICY_BUILT_IN, at(MAIN ":1"), "syntax error");
	put(MAIN, yes);
	policy_destroy(policy);
	ck_assert_int_eq(policy_source_load(&source, &policy, error, sizeof(error)), 0);
	ck_assert_int_eq(policy_keep_error(policy), -ENOENT);
}
END_TEST

/* Every cut of the kept file, and every byte of it changed: it is used whole or not at all, and nothing worse happens. */
START_TEST(damaged)
{
	static char kept[4096], broken[4096];
	put(MAIN, yes);
	put(LIB "/a.conf", "version = 1;");
	load();
	FILE *file = fopen(at(KEPT), "r");
	ck_assert_ptr_nonnull(file);
	size_t size = fread(kept, 1, sizeof(kept) - 1, file);
	fclose(file);
	put(MAIN, "wrong");
	for (size_t i = 0; i < size; i++) {
		memcpy(broken, kept, i);
		broken[i] = '\0';
		put(KEPT, broken);
		start(POLICY_BUILT_IN, at(MAIN ":1"), "");
		memcpy(broken, kept, size + 1);
		broken[i] = broken[i] == '9' ? '1' : '9';
		put(KEPT, broken);
		policy_destroy(policy);
		ck_assert_int_eq(policy_source_start(&source, &policy, error, sizeof(error)), 0);
		policy_destroy(policy);
		policy = NULL;
	}
	put(KEPT, kept);
	start(POLICY_LAST_GOOD, at(MAIN ":1"), "");
	expect_rule(7, true, MAIN ":1");
}
END_TEST

/* It is written only when it changes, and by a rename. */
START_TEST(kept_once)
{
	struct stat first, second;
	put(MAIN, yes);
	load();
	ck_assert_int_eq(stat(at(KEPT), &first), 0);
	ck_assert_uint_eq(first.st_mode & 0777, 0600);
	load();
	ck_assert_int_eq(stat(at(KEPT), &second), 0);
	ck_assert_uint_eq(first.st_ino, second.st_ino);
	char kept[160], other[160];
	snprintf(kept, sizeof(kept), "%s", at(KEPT));
	snprintf(other, sizeof(other), "%s", at("held"));
	ck_assert_int_eq(link(kept, other), 0); /* so that its number is not used again */
	put(MAIN, no);
	load();
	ck_assert_int_eq(stat(at(KEPT), &second), 0);
	ck_assert_uint_ne(first.st_ino, second.st_ino);
	ck_assert_int_eq(access(at(KEPT ".new"), F_OK), -1);
	/* A check keeps nothing. */
	put(MAIN, yes);
	policy_destroy(policy);
	ck_assert_int_eq(policy_source_check(&source, &policy, error, sizeof(error)), 0);
	ck_assert_int_eq(stat(at(KEPT), &first), 0);
	ck_assert_uint_eq(first.st_ino, second.st_ino);
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, nothing_is_there);
	tcase_add_test(tcase, sorted_by_name);
	tcase_add_test(tcase, before_the_built_in);
	tcase_add_test(tcase, one_hides_another);
	tcase_add_test(tcase, keys_override);
	tcase_add_test(tcase, faults_name_their_file);
	tcase_add_test(tcase, alone);
	tcase_add_test(tcase, bounds);
	tcase_add_test(tcase, last_good);
	tcase_add_test(tcase, no_last_good);
	tcase_add_test(tcase, damaged);
	tcase_add_test(tcase, kept_once);
}

int main(void)
{
	return suite_main("policy-source", add);
}
