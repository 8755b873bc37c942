// SPDX-License-Identifier: MIT
/* fencectl's way to the daemon for an administrator's requests: a bus of the test's own, with a stand-in for the daemon on
 * it, or with nobody; then the socket. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <systemd/sd-bus.h>
#include <unistd.h>

#include "lib-fencectl.h"
#include "lib-view.h"

static struct daemon own; /* the user's, at its usual place below `directory` */
static char directory[64], bus_path[96], bus_address[128];
static pid_t bus, service;

/* ---------------------------------------------------------------------------------- the bus --- */

static int bus_run(void *arg)
{
	char option[160];
	(void)arg;
	snprintf(option, sizeof(option), "--address=%s", bus_address);
	execlp("dbus-daemon", "dbus-daemon", "--session", "--nofork", "--nopidfile", option, NULL);
	return 127;
}

/* Its socket is a file before it listens there. */
static bool bus_listens(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	snprintf(address.sun_path, sizeof(address.sun_path), "%s", bus_path);
	bool listens = connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0;
	close(fd);
	return listens;
}

static void bus_start(void)
{
	uint64_t deadline = now_ms() + PATIENCE_MS;
	bus = child_start(bus_run, NULL);
	while (!bus_listens()) {
		ck_assert_uint_lt(now_ms(), deadline);
		yield_briefly();
	}
}

static void child_end(pid_t *pid)
{
	if (*pid > 0) {
		kill(*pid, SIGKILL);
		child_wait(*pid);
		*pid = 0;
	}
}

/* --------------------------------------------------------------------- a stand-in for the daemon -- */

static int on_fail(sd_bus_message *message, void *arg, sd_bus_error *error)
{
	uint64_t id, flags;
	const char *reason;
	char text[256];
	(void)arg;
	(void)error;
	if (sd_bus_message_read(message, "tst", &id, &reason, &flags) < 0) {
		return -EINVAL;
	}
	snprintf(text, sizeof(text), "id %llu, reason \"%s\", flags %llu, interactive %d",
		 (unsigned long long)id, reason, (unsigned long long)flags,
		 sd_bus_message_get_allow_interactive_authorization(message));
	return sd_bus_reply_method_return(message, "as", 2, text, "and a second sentence");
}

static int on_evict(sd_bus_message *message, void *arg, sd_bus_error *error)
{
	(void)message;
	(void)arg;
	return sd_bus_error_set(error, "org.fencebroker1.Error.NotPermitted",
				"polkit does not let uid 7 evict clients");
}

static int on_reload(sd_bus_message *message, void *arg, sd_bus_error *error)
{
	(void)arg;
	(void)error;
	return sd_bus_reply_method_return(message, "");
}

static const sd_bus_vtable vtable[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_METHOD("FailTimeline", "tst", "as", on_fail, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD("EvictClient", "tst", "as", on_evict, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD("Reload", "", "", on_reload, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_VTABLE_END,
};

static int service_run(void *arg)
{
	sd_bus *connection;
	const int *ready = arg;
	setenv("DBUS_SESSION_BUS_ADDRESS", bus_address, 1);
	if (sd_bus_open_user(&connection) < 0 ||
	    sd_bus_add_object_vtable(connection, NULL, "/org/fencebroker1",
				     "org.fencebroker1.Manager", vtable, NULL) < 0 ||
	    sd_bus_request_name(connection, "org.fencebroker1", 0) < 0 ||
	    write(*ready, "r", 1) != 1) {
		return 1;
	}
	for (;;) {
		int r = sd_bus_process(connection, NULL);
		if (r < 0 || (r == 0 && sd_bus_wait(connection, UINT64_MAX) < 0)) {
			return 1;
		}
	}
}

static void service_start(void)
{
	int ends[2];
	char byte;
	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	service = child_start(service_run, &ends[1]);
	close(ends[1]);
	ck_assert_int_eq(read(ends[0], &byte, 1), 1);
	close(ends[0]);
}

/* ------------------------------------------------------------------------------------ fencectl -- */

/* Which bus fencectl has to choose is the case of the test: the other one does not exist. */
static void setup_bus(bool session)
{
	setenv("DBUS_SYSTEM_BUS_ADDRESS", session ? "unix:path=/nonexistent" : bus_address, 1);
	setenv("DBUS_SESSION_BUS_ADDRESS", session ? bus_address : "unix:path=/nonexistent", 1);
	if (session) {
		setenv("XDG_RUNTIME_DIR", directory, 1);
	} else {
		unsetenv("XDG_RUNTIME_DIR");
	}
	unsetenv("FENCEBROKER_SOCKET");
}

static void setup(void)
{
	daemon_prepare(&own);
	strcpy(directory, own.directory);
	snprintf(bus_path, sizeof(bus_path), "%s/bus", directory);
	snprintf(bus_address, sizeof(bus_address), "unix:path=%s", bus_path);
	char folder[80];
	snprintf(folder, sizeof(folder), "%s/fencebroker", directory);
	snprintf(own.socket, sizeof(own.socket), "%s/socket", folder);
	ck_assert_int_eq(mkdir(folder, 0755), 0);
	daemon_start(&own, NULL);
	bus_start();
}

static void teardown(void)
{
	char command[128];
	child_end(&service);
	child_end(&bus);
	daemon_terminate(&own);
	snprintf(command, sizeof(command), "rm -r '%s'", directory);
	ck_assert_int_eq(system(command), 0);
}

/* _i: 0: the system's bus, 1: the session's, as the user's own daemon is there. */
START_TEST(over_the_bus)
{
	setup_bus(_i == 1);
	service_start();
	ck_assert_int_eq(fencectl_say("fail 7"), 0);
	ck_assert_str_eq(said, "id 7, reason \"\", flags 0, interactive 1\n"
			       "and a second sentence\n");
	ck_assert_int_eq(fencectl_say("--dry-run fail 18446744073709551615 'it hangs'"), 0);
	expect_said("id 18446744073709551615, reason \"it hangs\", flags 1, interactive 1\n");
	ck_assert_int_eq(fencectl_say("--json fail 7 \"$(printf 'not\\377text')\""), 0);
	expect_said("[\n");
	expect_said("reason \\\"not?text\\\"");
	ck_assert_int_eq(fencectl_say("evict 3"), 1);
	ck_assert_str_eq(said, "fencectl: evict: polkit does not let uid 7 evict clients\n");
	ck_assert_int_eq(fencectl_say("reload"), 0);
	ck_assert_str_eq(said, "");
}
END_TEST

/* Nobody owns the name, or there is no bus at all. */
START_TEST(then_over_the_socket)
{
	setup_bus(true);
	if (_i == 1) {
		child_end(&bus);
	} else if (_i == 2) {
		setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent", 1);
	}
	ck_assert_int_eq(fencectl_say("fail 999999"), 1);
	ck_assert_str_eq(said, "fencectl: fail: there is no timeline 999999: `fencectl timelines` "
			       "lists them\n");
	ck_assert_int_eq(fencectl_say("reload"), 0);
}
END_TEST

/* A socket that is given names the daemon. */
START_TEST(a_given_socket)
{
	char arguments[160];
	setup_bus(false);
	service_start();
	snprintf(arguments, sizeof(arguments), "--socket '%s' evict 999999", own.socket);
	ck_assert_int_eq(fencectl_say(arguments), 1);
	expect_said("no client 999999 is connected");
	setenv("FENCEBROKER_SOCKET", own.socket, 1);
	ck_assert_int_eq(fencectl_say("evict 999999"), 1);
	expect_said("no client 999999 is connected");
}
END_TEST

/* The daemon takes its place on the bus. */
static void own_joins_the_bus(void)
{
	const char *const args[] = { "fencebrokerd", "--user", "--verbose", "--socket",
				     own.socket,     "--bus",  bus_address, NULL };
	uint64_t deadline = now_ms() + PATIENCE_MS;
	daemon_terminate(&own);
	daemon_start(&own, &(struct daemon_options){ .args = args });
	do {
		ck_assert_uint_lt(now_ms(), deadline);
		fencectl_say("doctor");
	} while (!strstr(said, " owns org.fencebroker1"));
}

/* _i: 0: over the socket, 1: over the bus. */
START_TEST(fails_and_evicts)
{
	struct client client;
	struct view one, other;
	char arguments[64];
	setup_bus(true);
	if (_i == 1) {
		own_joins_the_bus();
	}
	client_open(&client, &own);
	uint32_t device = client_device(&client, "cpu0");
	ck_assert_int_eq(view_create(&client, device, 0, "one", 0, &one), 0);
	ck_assert_int_eq(view_create(&client, device, 0, "other", 0, &other), 0);
	snprintf(arguments, sizeof(arguments), "fail -n %llu", (unsigned long long)one.id);
	ck_assert_int_eq(fencectl_say(arguments), 0);
	expect_said("one (timeline ");
	ck_assert_uint_eq(view_status(&one), FBK_STATUS_OK);
	snprintf(arguments, sizeof(arguments), "fail %llu 'it hangs'", (unsigned long long)one.id);
	ck_assert_int_eq(fencectl_say(arguments), 0);
	expect_said("fails from point 1\n");
	ck_assert_uint_eq(view_status(&one), FBK_STATUS_FAILED);
	ck_assert_int_eq(fencectl_say(arguments), 1);
	ck_assert_str_eq(said, "fencectl: fail: it hangs\n");

	ck_assert_int_eq(fencectl_say("devices"), 0);
	expect_said("CLIENT ID");
	ck_assert_int_eq(fencectl_say("--json devices"), 0);
	const char *id = strstr(said, "\"client_id\": ");
	ck_assert_ptr_nonnull(id);
	snprintf(arguments, sizeof(arguments), "evict %llu", strtoull(id + 13, NULL, 10));
	ck_assert_int_eq(fencectl_say(arguments), 0);
	expect_said("is disconnected\n");
	client_expect_end(&client);
	ck_assert_uint_eq(view_status(&other), FBK_STATUS_FAILED);
	client_close(&client);
	ck_assert_int_eq(fencectl_say("reload"), 0);
	ck_assert_str_eq(said, "");
}
END_TEST

static const char *const wrong[] = { "fail",       "fail x",          "fail 1 because it",
				     "evict",      "evict -- -1",     "evict 0x10",
				     "reload now", "--dry-run reload" };

START_TEST(wrong_usage)
{
	setup_bus(true);
	ck_assert_int_eq(fencectl_say(wrong[_i]), 2);
	ck_assert(said[0]);
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, over_the_bus, 0, 2);
	tcase_add_loop_test(tcase, then_over_the_socket, 0, 3);
	tcase_add_test(tcase, a_given_socket);
	tcase_add_loop_test(tcase, fails_and_evicts, 0, 2);
	ADD_LOOP(tcase, wrong_usage, wrong);
}

int main(void)
{
	if (system("command -v dbus-daemon >/dev/null") != 0) {
		fputs("skipped: there is no dbus-daemon\n", stderr);
		return 77;
	}
	return suite_main("admin-bus", add);
}
