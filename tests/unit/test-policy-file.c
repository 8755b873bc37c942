// SPDX-License-Identifier: MIT
/* Policies in files: files that are refused unread, and the positions of errors. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/rules/policy.h"
#include "tests/suite.h"

static struct policy *policy;
static char error[512];
static char directory[] = "/tmp/test-policy-XXXXXX";
static char path[64];

static void file_setup(void)
{
	ck_assert_ptr_nonnull(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/policy.conf", directory);
}

static void file_teardown(void)
{
	policy_destroy(policy);
	policy = NULL;
	unlink(path);
	rmdir(directory);
}

static void file_write(const char *bytes, size_t size)
{
	FILE *file = fopen(path, "w");

	ck_assert_ptr_nonnull(file);
	ck_assert_uint_eq(fwrite(bytes, 1, size, file), size);
	ck_assert_int_eq(fclose(file), 0);
}

static void file_refused(const char *name, int expected, const char *what)
{
	error[0] = '\0';
	ck_assert_int_eq(policy_load_file(name, &policy, error, sizeof(error)), expected);
	ck_assert_ptr_null(policy);
	ck_assert_msg(strncmp(error, name, strlen(name)) == 0 && strstr(error, what),
		      "\"%s\" is not \"%s ... %s\"", error, name, what);
}

START_TEST(file_good)
{
	static const char text[] = "version = 1;\nrules = (\n{ user = 1; connect = true; } );\n";
	struct policy_subject who = { .uid = 1, .gid = 4242424 };
	const char *rule;
	char expected[80];

	file_write(text, strlen(text));
	ck_assert_int_eq(policy_load_file(path, &policy, error, sizeof(error)), 0);
	ck_assert(policy_may_connect(policy, &who, &rule));
	snprintf(expected, sizeof(expected), "%s:3", path);
	ck_assert_str_eq(rule, expected);
}
END_TEST

START_TEST(file_bad)
{
	file_refused(path, -ENOENT, "No such file");
	file_refused(directory, -EINVAL, "not a regular file");
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	file_refused(path, -EINVAL, "not a regular file");
	ck_assert_int_eq(unlink(path), 0);
	file_write("version = 1;\nru\0les = ();", 24);
	file_refused(path, -EINVAL, ":2: a NUL byte");
	file_write("version = 1;\n\nrules = 1;", 24);
	file_refused(path, -EINVAL, ":3: \"rules\" must be a list");
}
END_TEST

START_TEST(file_size)
{
	const size_t most = 256 * 1024;
	char *text = malloc(most + 1);
	static const char start[] = "version = 1; rules = ();";

	ck_assert_ptr_nonnull(text);
	memset(text, ' ', most + 1);
	memcpy(text, start, strlen(start));
	file_write(text, most + 1);
	file_refused(path, -EFBIG, "longer than 262144 bytes");
	file_write(text, most);
	ck_assert_int_eq(policy_load_file(path, &policy, error, sizeof(error)), 0);
	free(text);
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, file_setup, file_teardown);
	tcase_add_test(tcase, file_good);
	tcase_add_test(tcase, file_bad);
	tcase_add_test(tcase, file_size);
}

int main(void)
{
	return suite_main("policy-file", add);
}
