// SPDX-License-Identifier: MIT
/* A policy with a fault in it never stops the service: it starts on the last good one or the built-in one, keeps what it has
 * on a reload, and says so in its log, to the service manager, and to fencectl. */
#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib-daemon.h"
#include "lib-fencectl.h"

#define GOOD                                                                          \
	"version = 1;\nrules: ( { user = \"self\"; connect = true; register = true; " \
	"inspect = \"all\"; } );\n"

static struct daemon fencebrokerd;
static char config[96], state[96], policy[128], drop_in[128], notify_path[96];
static int manager; /* the service manager's socket */

static void make(char *ret_path, size_t size, const char *name)
{
	snprintf(ret_path, size, "%s/%s", fencebrokerd.directory, name);
	EXPECT(mkdir(ret_path, 0755) == 0);
}

static void setup(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	daemon_prepare(&fencebrokerd);
	make(config, sizeof(config), "fencebroker");
	make(drop_in, sizeof(drop_in), "fencebroker/policy.d");
	make(state, sizeof(state), "state");
	snprintf(policy, sizeof(policy), "%s/policy.conf", config);
	strcat(drop_in, "/50-more.conf");
	setenv("STATE_DIRECTORY", state, 1);
	setenv("FENCEBROKER_SOCKET", fencebrokerd.socket, 1);
	snprintf(notify_path, sizeof(notify_path), "%s/manager", fencebrokerd.directory);
	strcpy(address.sun_path, notify_path);
	manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	EXPECT(manager >= 0 && bind(manager, (struct sockaddr *)&address, sizeof(address)) == 0);
}

static void teardown(void)
{
	char command[512];
	snprintf(command, sizeof(command), "rm -r %s %s %s", config, state, notify_path);
	EXPECT(system(command) == 0);
	daemon_end(&fencebrokerd);
	close(manager);
}

static void put(const char *path, const char *text)
{
	FILE *file = fopen(path, "we");
	EXPECT(file && fputs(text, file) >= 0 && fclose(file) == 0);
}

/* What it tells the service manager next; its end, beyond what changes from run to run. */
static void expect_told(const char *start, const char *part)
{
	char text[1024];
	struct pollfd polled = { .fd = manager, .events = POLLIN };
	EXPECT(poll(&polled, 1, PATIENCE_MS) == 1);
	ssize_t size = recv(manager, text, sizeof(text) - 1, 0);
	EXPECT(size > 0);
	text[size] = '\0';
	ck_assert_msg(strncmp(text, start, strlen(start)) == 0 && strstr(text, part),
		      "\"%s\" is not \"%s ... %s\"", text, start, part);
}

static void launch(const char *name, const char *problem)
{
	const struct daemon_options options = { .notify = notify_path };
	char part[512];
	daemon_launch(&fencebrokerd, &options);
	snprintf(part, sizeof(part), "policy %s%s%s", name, problem[0] ? "; not in force: " : "",
		 problem);
	expect_told("READY=1\nSTATUS=serving ", part);
}

static void expect_status(const char *name, const char *problem)
{
	char *text;
	EXPECT(fencectl_run("status --json", &text) == 0);
	struct json_object *status = json_tokener_parse(text), *value;
	EXPECT(status && json_object_object_get_ex(status, "policy", &value));
	ck_assert_str_eq(json_object_get_string(value), name);
	EXPECT(json_object_object_get_ex(status, "policy_problem", &value));
	const char *found = json_object_get_string(value);
	ck_assert_msg(problem[0] ? strncmp(found, problem, strlen(problem)) == 0 : !found[0], "%s",
		      found);
	json_object_put(status);
	free(text);
	EXPECT(fencectl_run("status", &text) == 0);
	ck_assert_msg((strstr(text, "the policy's files are not in force: ") != NULL) ==
			      (problem[0] != '\0'),
		      "%s", text);
	free(text);
}

static void expect_logged(const char *what)
{
	static char text[1 << 16];
	daemon_log_text(&fencebrokerd, text, sizeof(text));
	ck_assert_msg(strstr(text, what), "\"%s\" is not in: %s", what, text);
}

/* Its sentence and its status reach the administrator. */
static void reload(int expected, const char *sentence)
{
	char *text;
	int r = fencectl_run("reload", &text);
	ck_assert_msg(r == expected && strstr(text, sentence), "%d: %s", r, text);
	free(text);
}

static const char *fault_at(const char *path, unsigned int line)
{
	static char text[160];
	snprintf(text, sizeof(text), "%s:%u: ", path, line);
	return text;
}

START_TEST(broken_at_the_first_start)
{
	put(policy, "version = 1;\nrules: ( { usr = 1; } );\n");
	launch("built-in", fault_at(policy, 2));
	expect_status("built-in", fault_at(policy, 2));
	expect_logged("unknown key \"usr\"");
	expect_logged("that policy is not in force, but the built-in one");
	reload(1, fault_at(policy, 2));
	expect_told("STATUS=", fault_at(policy, 2));
	put(policy, GOOD);
	reload(0, "");
	expect_told("STATUS=", policy);
	expect_status(policy, "");
}
END_TEST

START_TEST(broken_at_a_later_start)
{
	put(policy, GOOD);
	launch(policy, "");
	expect_status(policy, "");
	daemon_terminate(&fencebrokerd);
	expect_told("STOPPING=1", "");

	put(drop_in, "version = 1;\n\n\nsettings: { spin_us = 1001; };\n");
	launch("last good", fault_at(drop_in, 4));
	expect_status("last good", fault_at(drop_in, 4));
	expect_logged("that policy is not in force, but the last good one");
	put(drop_in, "version = 1;\n");
	reload(0, "");
	expect_status(policy, "");
}
END_TEST

START_TEST(broken_on_a_reload)
{
	put(policy, GOOD);
	launch(policy, "");
	put(drop_in, "version = 1;\nlimits: { fds = -1; };\n");
	for (unsigned int i = 0; i < 3; i++) {
		reload(1, fault_at(drop_in, 2));
		expect_told("STATUS=", fault_at(drop_in, 2));
		expect_status(policy, fault_at(drop_in, 2));
	}
	EXPECT(unlink(drop_in) == 0);
	reload(0, "");
	expect_status(policy, "");
}
END_TEST

/* Where it can't be kept, it serves all the same and says so. */
START_TEST(state_that_can_not_be_written)
{
	setenv("STATE_DIRECTORY", "/proc/self", 1);
	put(policy, GOOD);
	launch(policy, "");
	expect_logged("the policy can't be kept");
	expect_status(policy, "");
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, broken_at_the_first_start);
	tcase_add_test(tcase, broken_at_a_later_start);
	tcase_add_test(tcase, broken_on_a_reload);
	tcase_add_test(tcase, state_that_can_not_be_written);
}

int main(void)
{
	return suite_main("policy-start", add);
}
