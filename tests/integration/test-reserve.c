// SPDX-License-Identifier: MIT
/*
 * An administrator gets in when its own user is at any limit, when all fds are shared out, and when the daemon's table of files
 * is full: it sees why, and evicts. No other program gets more than before. Needs root, which administers.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib-fencectl.h"
#include "lib-wire.h"

#define CLIENTS_MAX  64
#define NOBODY       65534
#define RESERVE      4 /* connections */
#define SMALL_NOFILE 640

static struct daemon fencebrokerd;
static struct client clients[CLIENTS_MAX];
static size_t client_count;

static int fencectl(const char *arguments)
{
	char all[512];
	snprintf(all, sizeof(all), "--socket %s %s", fencebrokerd.socket, arguments);
	return fencectl_say(all);
}

static void serve_with(const char *limits)
{
	char policy[256];
	snprintf(policy, sizeof(policy),
		 "version = 1;\nlimits: { %s };\nrules: ( { user = \"*\"; connect = true;\n"
		 "register = true; inspect = \"all\"; } );\n",
		 limits);
	daemon_serve(&fencebrokerd, policy);
	client_count = 0;
}

static void teardown(void)
{
	for (size_t i = 0; i < client_count; i++) {
		client_close(&clients[i]);
	}
	daemon_stop(&fencebrokerd);
}

/* Refused for that reason, if it says one: its Hello may come too late to be answered. */
static void expect_refused(int error)
{
	struct client client;
	int r = client_try(&client, &fencebrokerd);
	ck_assert_msg(r == error || r == -EPIPE, "%s: %s", strerror(-r), client.detail);
	client_close(&client);
}

/* Until no more are let in, for that reason. */
static void fill(int error)
{
	while (client_try(&clients[client_count], &fencebrokerd) == 0) {
		client_count++;
		ck_assert_uint_lt(client_count, CLIENTS_MAX);
	}
	client_close(&clients[client_count]);
	ck_assert_uint_gt(client_count, 0);
	expect_refused(error);
}

/* The id of the oldest client that fencectl lists. */
static unsigned long long oldest_client(void)
{
	unsigned long long id = 0;
	ck_assert_msg(fencectl("clients") == 0, "%s", said);
	for (char *line = strtok(said, "\n"); line; line = strtok(NULL, "\n")) {
		if (strstr(line, " raw ")) {
			id = strtoull(line, NULL, 10);
		}
	}
	ck_assert_uint_gt(id, 0);
	return id;
}

/* It looks, and makes room. */
static void administer(int refusal)
{
	char evict[64];
	ck_assert_msg(fencectl("status") == 0, "%s", said);
	expect_said("fencebrokerd ");
	ck_assert_msg(fencectl("clients") == 0, "%s", said);
	expect_said("of the reserve");
	expect_refused(refusal); /* as all others */
	snprintf(evict, sizeof(evict), "evict %llu", oldest_client());
	ck_assert_msg(fencectl(evict) == 0, "%s", said);
	expect_said(" is disconnected");
}

static const struct {
	const char *limits;
} full[] = {
	{ "connections = 5;" },
	{ "fds = 60;" },
	{ "page_bytes = 1200000;" },
	{ "connections = 3; fds = 50; page_bytes = 800000; queued_bytes = 1;" },
};

START_TEST(any_limit_is_reached)
{
	serve_with(full[_i].limits);
	fill(-EDQUOT);
	administer(-EDQUOT);
	/* the evicted one made room */
	uint64_t deadline = now_ms() + PATIENCE_MS;
	while (client_try(&clients[client_count], &fencebrokerd) < 0) {
		client_close(&clients[client_count]);
		ck_assert(now_ms() < deadline);
		yield_briefly();
	}
	client_count++;
}
END_TEST

/* A user alone gets half of what the daemon may open, the next half of the rest. */
static int other_fills(void *arg)
{
	int ready = *(int *)arg;
	EXPECT(setgid(NOBODY) == 0 && setuid(NOBODY) == 0);
	for (size_t i = 0; client_try(&clients[i], &fencebrokerd) == 0; i++) {
	}
	EXPECT(write(ready, "x", 1) == 1);
	pause();
	return 0;
}

START_TEST(all_fds_are_shared_out)
{
	int ready[2];
	char byte;
	struct daemon_options options = { .nofile = SMALL_NOFILE,
					  .policy = "version = 1;\nrules: ( { user = \"*\";\n"
						    "connect = true; inspect = \"all\"; } );\n" };
	daemon_prepare(&fencebrokerd);
	daemon_start(&fencebrokerd, &options);
	client_count = 0;
	fill(-ENFILE);
	EXPECT(pipe2(ready, O_CLOEXEC) == 0);
	pid_t child = child_start(other_fills, &ready[1]);
	EXPECT(read(ready[0], &byte, 1) == 1);
	administer(-ENFILE);
	kill(child, SIGKILL);
	child_wait(child);
	close(ready[0]);
	close(ready[1]);
}
END_TEST

/* The number of the daemon's next fd: with this as its limit it can open none. */
static rlim_t lowest_free_fd(void)
{
	char path[48];
	for (unsigned int fd = 0;; fd++) {
		snprintf(path, sizeof(path), "/proc/%d/fd/%u", fencebrokerd.pid, fd);
		if (faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) != 0) {
			return fd;
		}
	}
}

START_TEST(no_fd_is_free)
{
	struct rlimit limit, before;
	serve_with("connections = 20;");
	client_open(&clients[client_count++], &fencebrokerd);
	client_open(&clients[client_count++], &fencebrokerd);
	daemon_fd_count(&fencebrokerd); /* nothing is being closed */
	EXPECT(prlimit(fencebrokerd.pid, RLIMIT_NOFILE, NULL, &before) == 0);
	limit = before;
	limit.rlim_cur = lowest_free_fd();
	EXPECT(prlimit(fencebrokerd.pid, RLIMIT_NOFILE, &limit, NULL) == 0);
	for (int i = 0; i < 10; i++) { /* what it used comes back */
		ck_assert_msg(fencectl("status") == 0, "%s", said);
		struct client refused;
		struct reply reply;
		client_connect(&refused, &fencebrokerd);
		ck_assert(!client_receive(&refused, &reply));
		client_close(&refused);
	}
	char evict[64];
	snprintf(evict, sizeof(evict), "evict %llu", oldest_client());
	ck_assert_msg(fencectl(evict) == 0, "%s", said);
	expect_said(" is disconnected");
	EXPECT(prlimit(fencebrokerd.pid, RLIMIT_NOFILE, &before, NULL) == 0);
}
END_TEST

/* ------------------------------------------------------------------ what the reserve does not give -- */

static void inspector_connect(struct client *client)
{
	struct sockaddr_un own = { .sun_family = AF_UNIX }, address = own;
	static unsigned int number;
	*client = (struct client){ .pair_fd = -1, .doorbell = -1, .life_fd = -1 };
	client->socket = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	EXPECT(client->socket >= 0);
	int length = snprintf(own.sun_path + 1, sizeof(own.sun_path) - 1, "%stest-%d-%u",
			      WIRE_INSPECTS_ADDRESS, getpid(), number++);
	EXPECT(bind(client->socket, (struct sockaddr *)&own,
		    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)length)) == 0);
	strncpy(address.sun_path, fencebrokerd.socket, sizeof(address.sun_path) - 1);
	EXPECT(connect(client->socket, (struct sockaddr *)&address, sizeof(address)) == 0);
}

START_TEST(the_reserve_is_small)
{
	struct client inspectors[RESERVE + 1];
	serve_with("connections = 2;");
	fill(-EDQUOT);
	for (int i = 0; i <= RESERVE; i++) {
		inspector_connect(&inspectors[i]);
		ck_assert_int_eq(client_hello(&inspectors[i], WIRE_VERSION_MIN, WIRE_VERSION_MAX),
				 0);
	}
	/* the newest took the place of the oldest, and of no other */
	struct reply reply;
	ck_assert(!client_receive(&inspectors[0], &reply));
	for (int i = 1; i <= RESERVE; i++) {
		client_ping(&inspectors[i]);
	}
	/* it makes nothing */
	REQUEST(request, DEVICE_REGISTER, device_register);
	request.device_register->name = (char *)(uintptr_t) "cpu0";
	request.device_register->class_ = FBK_CLASS_CPU;
	ck_assert_int_eq(client_call(&inspectors[1], &request, NULL, 0, NULL), -EDQUOT);
	client_expect_detail(&inspectors[1], "it can only inspect and administer");
	for (int i = 0; i <= RESERVE; i++) {
		client_close(&inspectors[i]);
	}
}
END_TEST

static int stranger_run(void *arg)
{
	(void)arg;
	struct client first, inspector;
	struct reply reply;
	EXPECT(setgid(NOBODY) == 0 && setuid(NOBODY) == 0);
	client_open(&first, &fencebrokerd);
	inspector_connect(&inspector);
	EXPECT(client_receive(&inspector, &reply) && reply.message->error == -EDQUOT);
	reply_free(&reply);
	client_close(&inspector);
	client_close(&first);
	return 0;
}

START_TEST(not_for_strangers)
{
	serve_with("connections = 1;");
	ck_assert_int_eq(child_wait(child_start(stranger_run, NULL)), 0);
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, NULL, teardown);
	tcase_add_loop_test(tcase, any_limit_is_reached, 0, sizeof(full) / sizeof(full[0]));
	tcase_add_test(tcase, all_fds_are_shared_out);
	tcase_add_test(tcase, no_fd_is_free);
	tcase_add_test(tcase, the_reserve_is_small);
	tcase_add_test(tcase, not_for_strangers);
}

int main(void)
{
	return suite_main("reserve", add);
}
