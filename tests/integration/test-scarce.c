// SPDX-License-Identifier: MIT
/* A daemon that has used up its file descriptors: it hangs up on new clients, serves the old ones,
 * and recovers once there are fds again. And one without memory for a wait. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib-view.h"

#define SMALL_NOFILE  640
#define CLIENTS_MAX   128  /* more than a daemon of SMALL_NOFILE has fds for */
#define WAITS         4000 /* more than the allocator has in reserve */
#define WAITS_PER_SET 500

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

static struct daemon fencebrokerd;
static struct bystander bystander;
static struct client clients[CLIENTS_MAX];

static void setup(void)
{
	daemon_serve(&fencebrokerd, NULL);
	bystander_open(&bystander, &fencebrokerd);
}

static void setup_small(void)
{
	struct daemon_options options = { .nofile = SMALL_NOFILE };
	daemon_prepare(&fencebrokerd);
	daemon_start(&fencebrokerd, &options);
	bystander_open(&bystander, &fencebrokerd);
}

static void teardown(void)
{
	bystander_close(&bystander);
	daemon_stop(&fencebrokerd);
}

/* The daemon hung up on it, perhaps after an error. */
static void expect_hang_up(struct client *client)
{
	struct reply reply;
	while (client_receive(client, &reply)) { /* not for ever: PATIENCE_MS */
		ck_assert_int_lt(reply.message->error, 0);
		reply_free(&reply);
	}
	client_close(client);
}

static void expect_welcome(void)
{
	struct client client;
	client_open(&client, &fencebrokerd);
	client_ping(&client);
	client_close(&client);
}

/* ---------------------------------------------------------------------- not even for accept --- */

static rlim_t set_fd_limit(rlim_t limit)
{
	struct rlimit before, after;
	EXPECT(prlimit(fencebrokerd.pid, RLIMIT_NOFILE, NULL, &before) == 0);
	after = before;
	after.rlim_cur = limit;
	EXPECT(prlimit(fencebrokerd.pid, RLIMIT_NOFILE, &after, NULL) == 0);
	return before.rlim_cur;
}

/* The number of the daemon's next fd: with this as its limit it can open none. */
static rlim_t lowest_free_fd(void)
{
	char path[48];
	for (unsigned int fd = 0;; fd++) {
		snprintf(path, sizeof(path), "/proc/%d/fd/%u", fencebrokerd.pid, fd);
		if (access(path, F_OK) != 0 &&
		    faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) != 0) {
			return fd;
		}
	}
}

/* From now on it can open no fds, until the limit that this returns is set again. */
static rlim_t use_up_fds(void)
{
	daemon_await_fds(&fencebrokerd, bystander.fds); /* what is being closed would be free */
	return set_fd_limit(lowest_free_fd());
}

START_TEST(no_fd_for_accept)
{
	struct view view;
	int token;
	uint64_t refused = client_counter(&bystander.waiter, "refused");
	uint32_t device = client_device(&bystander.signaler, "cpu1");
	rlim_t limit = use_up_fds();
	for (uint64_t i = 1; i <= 5; i++) {
		client_connect(&clients[0], &fencebrokerd);
		expect_hang_up(&clients[0]);
		bystander_round(&bystander);
		ck_assert_uint_eq(client_counter(&bystander.waiter, "refused"), refused + i);
		daemon_await_fds(&fencebrokerd, bystander.fds); /* ready to refuse the next */
	}

	/* an old client gets an error, and stays */
	ck_assert_int_lt(view_create(&bystander.signaler, device, 0, "more", 0, &view), 0);
	ck_assert_msg(strstr(bystander.signaler.detail, "LimitNOFILE="), "%s",
		      bystander.signaler.detail);
	ck_assert_int_lt(view_share(&bystander.waits, FBK_RIGHT_WAIT, &token), 0);
	bystander_round(&bystander);

	set_fd_limit(limit);
	expect_welcome();
	ck_assert_int_eq(view_create(&bystander.signaler, device, 0, "more", 0, &view), 0);
	ck_assert_int_eq(view_close(&view), 0);
}
END_TEST

START_TEST(no_fd_for_any_of_many)
{
	char log[16384];
	uint64_t refused = client_counter(&bystander.waiter, "refused");
	rlim_t limit = use_up_fds();
	for (size_t i = 0; i < 40; i++) { /* more than are accepted in a turn */
		client_connect(&clients[i], &fencebrokerd);
	}
	bystander_round(&bystander);
	for (size_t i = 0; i < 40; i++) {
		expect_hang_up(&clients[i]);
	}
	bystander_round(&bystander);
	daemon_await_fds(&fencebrokerd, bystander.fds);
	ck_assert_uint_eq(client_counter(&bystander.waiter, "refused"), refused + 40);
	daemon_log_text(&fencebrokerd, log, sizeof(log));
	const char *line = strstr(log, "LimitNOFILE=");
	ck_assert_ptr_nonnull(line);
	ck_assert_ptr_null(strstr(line + 1, "LimitNOFILE=")); /* logged once, not for each */
	set_fd_limit(limit);
	expect_welcome();
}
END_TEST

/* ----------------------------------------------------------------------- no memory for a wait --- */

/* A bell is no request that could fail: waiters that cannot be armed are woken and may ring again.
 * None is lost. */
START_TEST(no_memory_for_waits)
{
	static struct view views[WAITS];
	static uint32_t sequences[WAITS];
	struct client *client = &clients[0];
	client_open(client, &fencebrokerd);
	uint32_t device = client_device(client, "cpu1");
	uint32_t set = 0;
	for (size_t i = 0; i < WAITS; i++) {
		set = i % WAITS_PER_SET == 0 ? client_set(client) : set;
		ck_assert_int_eq(view_create(client, device, set, "line", 0, &views[i]), 0);
	}
	struct rlimit no_more = { .rlim_cur = 4096, .rlim_max = RLIM_INFINITY }, before;
	uint64_t waits = client_counter(client, "waits");
	ck_assert_int_eq(prlimit(fencebrokerd.pid, RLIMIT_DATA, &no_more, &before), 0);
	for (size_t i = 0; i < WAITS; i++) {
		sequences[i] = cell_arm(&views[i], 1);
	}
	size_t woken;
	uint64_t deadline = now_ms() + PATIENCE_MS;
	do {
		ck_assert_uint_lt(now_ms(), deadline);
		woken = 0;
		for (size_t i = 0; i < WAITS; i++) {
			woken += cell_sequence(&views[i]) != sequences[i];
		}
	} while (client_counter(client, "waits") - waits + woken < WAITS);
	ck_assert_uint_gt(woken, 0);

	ck_assert_int_eq(prlimit(fencebrokerd.pid, RLIMIT_DATA, &before, NULL), 0);
	for (size_t i = 0; i < WAITS; i++) {
		if (cell_sequence(&views[i]) != sequences[i]) {
			sequences[i] = cell_arm(&views[i], 1);
		}
	}
	client_await_counter(client, "waits", waits + WAITS);
	for (size_t i = 0; i < WAITS; i++) {
		EXPECT(view_signal(&views[i], 0, 1));
		ck_assert_int_eq(cell_wait(&views[i], sequences[i], PATIENCE_MS), 0);
	}
	client_close(client);
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, no_fd_for_accept);
	tcase_add_test(tcase, no_fd_for_any_of_many);
	if (SANITIZED) {
		puts("a sanitizer dies without memory: no_memory_for_waits was not tried");
	} else {
		tcase_add_test(tcase, no_memory_for_waits);
	}
}

/* --------------------------------------------------------------------------- a small daemon --- */

/* One user does not get everything, and keeps what it has: so do those who were there before. */
START_TEST(sessions_until_full)
{
	size_t count = 0;
	int r;
	while ((r = client_try(&clients[count], &fencebrokerd)) == 0) {
		count++;
		ck_assert_uint_lt(count, CLIENTS_MAX);
	}
	bool explained = strstr(clients[count].detail, "LimitNOFILE=");
	ck_assert_msg(r == -EPIPE || (r == -ENFILE && explained), "%s: %s", strerror(-r),
		      clients[count].detail);
	client_close(&clients[count]);
	ck_assert_uint_gt(count, 4);
	bystander_round(&bystander);
	for (size_t i = 0; i < count; i++) {
		client_ping(&clients[i]);
	}
	client_close(&clients[0]); /* one ends, which makes room for one */
	daemon_await_fds(&fencebrokerd, bystander.fds + 4 * ((unsigned int)count - 1));
	client_open(&clients[0], &fencebrokerd);
	for (size_t i = 0; i < count; i++) {
		client_close(&clients[i]);
	}
}
END_TEST

static void add_small(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup_small, teardown);
	tcase_add_test(tcase, sessions_until_full);
}

int main(void)
{
	int none = suite_main("scarce: none left", add);
	int small = suite_main("scarce: few", add_small);
	return none == 0 && small == 0 ? 0 : 1;
}
