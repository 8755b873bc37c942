// SPDX-License-Identifier: MIT
/* What fencectl says of the policy: the rules, the answers for a user, the values in force and where they are written. */
#include <json-c/json.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib-daemon.h"
#include "lib-fencectl.h"

static const char policy[] =
	"version = 1;\n"
	"settings: { poison_ms = 7;\n"
	"  implicit_promises = true; };\n"
	"limits: { fds = 300; };\n"
	"rules: (\n"
	" { user = 4242; register = true; class = [ \"gpu\", \"encoder\" ];\n"
	"   publish = [ \"enc.*\", \"cam\" ]; limits: {\n"
	"    fds = 80; }; },\n"
	" { group = 0; register = true; class = \"cpu\"; inspect = \"all\"; },\n"
	" { user = \"*\"; connect = true; inspect = \"own\"; publish = false; }\n"
	");\n";

static struct daemon fencebrokerd;
static struct json_object *parsed;

static void setup(void)
{
	daemon_serve(&fencebrokerd, policy);
	setenv("FENCEBROKER_SOCKET", fencebrokerd.socket, 1);
	setenv("COLUMNS", "80", 1);
	fencectl_copy(&fencebrokerd);
}

static void teardown(void)
{
	char path[160];
	json_object_put(parsed);
	parsed = NULL;
	snprintf(path, sizeof(path), "%s/fencectl", fencebrokerd.directory);
	unlink(path);
	daemon_end(&fencebrokerd);
}

static void run_json(const char *args)
{
	int r = fencectl_say(args);
	ck_assert_msg(r == 0, "%d: %s", r, said);
	json_object_put(parsed);
	parsed = json_tokener_parse(said);
	EXPECT(parsed);
}

static const char *string_of(const struct json_object *object, const char *key)
{
	struct json_object *value;
	ck_assert_msg(json_object_object_get_ex(object, key, &value), "no %s", key);
	return json_object_get_string(value);
}

/* The one entry with that key, and with `of` if that is not NULL, says this. `line` 0: it is the default, or no rule. */
static void expect_entry(const char *key, const char *of, const char *answer, int line)
{
	size_t found = 0;
	for (size_t i = 0; i < json_object_array_length(parsed); i++) {
		struct json_object *entry = json_object_array_get_idx(parsed, i);
		if (strcmp(string_of(entry, "key"), key) != 0 ||
		    (of && strcmp(string_of(entry, "of"), of) != 0)) {
			continue;
		}
		found++;
		ck_assert_str_eq(string_of(entry, "answer"), answer);
		ck_assert_msg(strcmp(string_of(entry, "file"), line ? fencebrokerd.policy : "") ==
				      0,
			      "%s", json_object_to_json_string(entry));
		ck_assert_int_eq(atoi(string_of(entry, "line")), line);
	}
	ck_assert_msg(found == 1, "%zu entries of %s %s: %s", found, key, of ? of : "", said);
}

/* As wide as the terminal. */
static void expect_width(void)
{
	for (const char *line = said; *line; line += strcspn(line, "\n") + 1) {
		ck_assert_msg(strcspn(line, "\n") <= 80, "%s", line);
	}
}

START_TEST(config)
{
	run_json("config --json");
	ck_assert_uint_eq(json_object_array_length(parsed), 28);
	expect_entry("poison_ms", NULL, "7", 2);
	expect_entry("implicit_promises", NULL, "true", 3);
	expect_entry("fds", NULL, "300", 4);
	expect_entry("spin_us", NULL, "10", 0); /* in the unit of the file */
	expect_entry("links", NULL, "1024", 0);
	EXPECT(fencectl_say("config") == 0);
	expect_width();
	expect_said("spin_us");
	expect_said("default");
}
END_TEST

START_TEST(show)
{
	run_json("policy show --json");
	ck_assert_uint_eq(json_object_array_length(parsed), 8);
	const struct json_object *first = json_object_array_get_idx(parsed, 0);
	ck_assert_str_eq(string_of(first, "who"), "user 4242");
	expect_entry("register", "gpu encoder", "yes", 6);
	expect_entry("publish", "enc.* cam", "yes", 6);
	expect_entry("register", "cpu", "yes", 9);
	expect_entry("fds", NULL, "80", 8);
	expect_entry("connect", NULL, "yes", 10);
	EXPECT(fencectl_say("policy show") == 0);
	expect_width();
	expect_said("user 4242");
	expect_said("group 0");
}
END_TEST

START_TEST(show_as)
{
	run_json("policy show --as 4242 --json");
	expect_entry("connect", NULL, "yes", 10);
	expect_entry("register", "gpu encoder", "yes", 6);
	expect_entry("register", "decoder display capture network compositor cpu", "no", 0);
	expect_entry("publish", "enc.* cam", "yes", 6);
	expect_entry("publish", "", "no", 10);
	expect_entry("find", "", "no", 0);
	expect_entry("inspect", NULL, "own", 10);
	expect_entry("promise", "", "no", 0);
	expect_entry("fds", NULL, "80", 8);
	EXPECT(fencectl_say("policy show --as 4242") == 0);
	expect_width();
	run_json("policy show --as root --json");
	expect_entry("inspect", NULL, "all", 9);
	expect_entry("fds", NULL, "300", 4);
	EXPECT(fencectl_say("policy show --as no-such-user") == 1);
	expect_said("no user no-such-user");
}
END_TEST

static const struct {
	const char *args;
	int status;
	const char *answer; /* and the line of the rule; 0: no rule */
	int line;
} questions[] = {
	{ "4242 register gpu", 0, "yes", 6 }, { "4242 register cpu", 4, "no", 0 },
	{ "root register cpu", 0, "yes", 9 }, { "4242 connect", 0, "yes", 10 },
	{ "4242 publish cam", 0, "yes", 6 },  { "4242 publish cams", 4, "no", 10 },
	{ "4243 publish cam", 4, "no", 10 },  { "4242 promise gpu", 4, "no", 0 },
	{ "root inspect", 0, "all", 9 },      { "4242 find cam", 4, "no", 0 },
};

START_TEST(test)
{
	char args[128], expected[160];
	snprintf(args, sizeof(args), "policy test %s", questions[_i].args);
	ck_assert_int_eq(fencectl_say(args), questions[_i].status);
	snprintf(expected, sizeof(expected), questions[_i].line ? "%s: %s:%d" : "%s: no rule",
		 questions[_i].answer, fencebrokerd.policy, questions[_i].line);
	expect_said(expected);
	strcat(args, " --json");
	ck_assert_int_eq(fencectl_say(args), questions[_i].status);
	parsed = json_tokener_parse(said);
	EXPECT(parsed);
	ck_assert_str_eq(string_of(parsed, "answer"), questions[_i].answer);
	ck_assert_int_eq(atoi(string_of(parsed, "line")), questions[_i].line);
}
END_TEST

static const struct {
	const char *args, *what;
	int status;
} wrong[] = {
	{ "policy", "Usage", 2 },
	{ "policy check", "Usage", 2 },
	{ "policy show root", "Usage", 2 },
	{ "policy test root", "Usage", 2 },
	{ "policy frobnicate", "Usage", 2 },
	{ "policy test root register", "register needs one of gpu", 1 },
	{ "policy test root register gpus", "register needs one of gpu", 1 },
	{ "policy test root publish", "publish needs the name", 1 },
	{ "policy test root connect now", "connect needs nothing more", 1 },
	{ "policy test root fly", "\"fly\" is none of connect", 1 },
};

START_TEST(wrong_usage)
{
	ck_assert_int_eq(fencectl_say(wrong[_i].args), wrong[_i].status);
	expect_said(wrong[_i].what);
}
END_TEST

/* Who may inspect its own only learns what holds for itself, by the groups that it really has, and the values. */
static int other_user(void *arg)
{
	(void)arg;
	if (setgid(4242) < 0 || setuid(4242) < 0) {
		return 77;
	}
	run_json("config --json");
	run_json("policy show --as 4242 --json");
	expect_entry("fds", NULL, "80", 8);
	EXPECT(fencectl_say("policy test 4242 register gpu") == 0);
	EXPECT(fencectl_say("policy test 4242 register cpu") == 4);
	EXPECT(fencectl_say("policy show") == 1);
	expect_said("inspect its own only");
	EXPECT(fencectl_say("policy show --as root") == 1);
	EXPECT(fencectl_say("policy test root connect") == 1);
	return 0;
}

START_TEST(another_user)
{
	int status = child_wait(child_start(other_user, NULL));
	ck_assert_int_eq(status, 0);
}
END_TEST

static void put(const char *path, const char *text)
{
	FILE *file = fopen(path, "we");
	EXPECT(file && fputs(text, file) >= 0 && fclose(file) == 0);
}

/* Without a daemon. A drop-in needs no rules. */
START_TEST(check)
{
	char directory[96], path[128], args[256];
	snprintf(directory, sizeof(directory), "%s/policy.d", fencebrokerd.directory);
	snprintf(path, sizeof(path), "%s/a.conf", directory);
	setenv("FENCEBROKER_SOCKET", "/nonexistent", 1);
	EXPECT(mkdir(directory, 0755) == 0);
	snprintf(args, sizeof(args), "policy check %s", fencebrokerd.policy);
	EXPECT(fencectl_say(args) == 0);
	expect_said(": ok\n");
	put(fencebrokerd.policy, "version = 1;\n");
	EXPECT(fencectl_say(args) == 1);
	expect_said("policy.conf:1: \"rules\" is missing");
	put(path, "version = 1;\n");
	snprintf(args, sizeof(args), "policy check %s", path);
	EXPECT(fencectl_say(args) == 0);
	put(path, "version = 1;\n\nlimits: { fds = many; };\n");
	EXPECT(fencectl_say(args) == 1);
	expect_said("a.conf:3: ");
	strcat(args, " --json");
	EXPECT(fencectl_say(args) == 1);
	parsed = json_tokener_parse(said);
	EXPECT(parsed);
	ck_assert_str_eq(string_of(parsed, "ok"), "false");
	ck_assert_str_eq(string_of(parsed, "file"), path);
	EXPECT(strstr(string_of(parsed, "error"), "a.conf:3: "));
	EXPECT(unlink(path) == 0 && rmdir(directory) == 0);
}
END_TEST

/* More rules than fit into a reply: each comes once, in order. */
START_TEST(pages)
{
	static char text[1 << 17];
	char *at = text + sprintf(text, "version = 1;\nrules: (\n");
	for (unsigned int i = 0; i < 500; i++) {
		at += sprintf(at, " { user = %u; connect = true; find = \"%0100u\"; },\n", i, i);
	}
	sprintf(at, " { user = \"*\"; inspect = \"all\"; connect = true; } );\n");
	put(fencebrokerd.policy, text);
	EXPECT(fencectl_say("reload") == 0);
	run_json("policy show --json");
	ck_assert_uint_eq(json_object_array_length(parsed), 1002);
	for (unsigned int i = 0; i < 500; i++) {
		const struct json_object *entry = json_object_array_get_idx(parsed, 2 * i + 1);
		ck_assert_str_eq(string_of(entry, "key"), "find");
		ck_assert_uint_eq(strtoul(string_of(entry, "of"), NULL, 10), i);
	}
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, config);
	tcase_add_test(tcase, show);
	tcase_add_test(tcase, show_as);
	tcase_add_loop_test(tcase, test, 0, sizeof(questions) / sizeof(questions[0]));
	tcase_add_loop_test(tcase, wrong_usage, 0, sizeof(wrong) / sizeof(wrong[0]));
	tcase_add_test(tcase, another_user);
	tcase_add_test(tcase, check);
	tcase_add_test(tcase, pages);
}

int main(void)
{
	return suite_main("policy-verbs", add);
}
