// SPDX-License-Identifier: MIT
#include "daemon/base/closer.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/base/clock.h"
#include "tests/suite.h"

#define PATIENCE_NS (10 * NS_PER_S)
#define FDS         4096 /* may be open, as the closer is told */
#define MANY        3000

static struct closer closer;

static void setup(void)
{
	ck_assert_int_eq(closer_init(&closer, FDS), 0);
	ck_assert_int_gt(closer.pid, 0);
}

static void teardown(void)
{
	closer_finish(&closer);
	ck_assert_ptr_null(closer.ring);
}

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

/* As the loop would; also handles the end of the child. */
static void tend(void)
{
	struct pollfd alarm = { .fd = closer.alarm, .events = POLLIN };
	siginfo_t child = { 0 };
	waitid(P_ALL, 0, &child, WEXITED | WNOHANG | WNOWAIT);
	if (poll(&alarm, 1, 1) == 1 || child.si_pid) {
		closer_tend(&closer);
	}
}

/* Waits until all are closed. */
static void drain(void)
{
	uint64_t deadline = clock_now_ns() + PATIENCE_NS;
	while (closer_pending(&closer) > 0) {
		ck_assert_uint_lt(clock_now_ns(), deadline);
		tend();
	}
}

static bool alarm_wound(void)
{
	struct itimerspec time;
	ck_assert_int_eq(timerfd_gettime(closer.alarm, &time), 0);
	return time.it_value.tv_sec || time.it_value.tv_nsec;
}

static void await_alarm(bool wound)
{
	uint64_t deadline = clock_now_ns() + PATIENCE_NS;
	while (alarm_wound() != wound) {
		ck_assert_uint_lt(clock_now_ns(), deadline);
		poll(NULL, 0, 1);
	}
}

/* An end of a pipe; its other end, `ret_other`, shows when it is closed. */
static int fd_observed(int *ret_other)
{
	int fds[2];
	ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
	*ret_other = fds[0];
	return fds[1];
}

static bool closed_within(int other, int ms)
{
	struct pollfd polled = { .fd = other, .events = POLLIN };
	return poll(&polled, 1, ms) == 1 && polled.revents & POLLHUP;
}

START_TEST(closes)
{
	int other;
	int fd = fd_observed(&other);
	closer_close(&closer, -1);
	ck_assert_uint_eq(closer_pending(&closer), 0);
	ck_assert(!alarm_wound());
	closer_close(&closer, fd);
	ck_assert(closed_within(other, 10000));
	drain();
	ck_assert(!is_open(fd)); /* closed in this process, though another one does the work */
	ck_assert_uint_eq(closer.replaced, 0);
	await_alarm(false); /* without work it wakes nobody */
	close(other);
}
END_TEST

/* The last close belongs to the fd that was queued last: all before it are closed by then. */
START_TEST(in_order)
{
	int fds[64];
	int other;
	for (size_t i = 0; i < 63; i++) {
		fds[i] = eventfd(0, EFD_CLOEXEC);
	}
	fds[63] = fd_observed(&other);
	closer_close_all(&closer, fds, 64);
	ck_assert(closed_within(other, 10000));
	for (size_t i = 0; i < 64; i++) {
		ck_assert(!is_open(fds[i]));
	}
	drain();
	close(other);
}
END_TEST

/* Around the ring more than once. */
START_TEST(many)
{
	int keep = eventfd(0, EFD_CLOEXEC);
	for (size_t i = 0; i < 2 * FDS; i++) {
		int fd = fcntl(keep, F_DUPFD_CLOEXEC, 0);
		ck_assert_int_ge(fd, 0);
		closer_close(&closer, fd);
		if (closer_pending(&closer) > FDS / 2) {
			drain();
		}
	}
	drain();
	ck_assert_uint_eq(closer.replaced, 0);
	ck_assert(is_open(keep));
	ck_assert_int_eq(fcntl(keep, F_DUPFD_CLOEXEC, 0), keep + 1); /* all others are free */
	close(keep + 1);
	close(keep);
}
END_TEST

START_TEST(one_hangs)
{
	int peer, other, second_peer;
	uint64_t started = clock_now_ns();
	pid_t first = closer.pid;
	int hanging = fd_lingering(&peer);
	int behind = fd_observed(&other);
	closer_close(&closer, hanging);
	closer_close(&closer, behind);
	ck_assert_uint_lt(clock_now_ns() - started, NS_PER_S); /* the caller did not wait */
	await_alarm(true);
	ck_assert(!closed_within(other, 100));
	drain();
	ck_assert(closed_within(other, 10000));
	ck_assert(!is_open(hanging));
	ck_assert_uint_eq(closer.replaced, 1);
	ck_assert_int_ne(closer.pid, first);
	ck_assert_uint_lt(clock_now_ns() - started, 10 * NS_PER_S); /* less than it lingers */

	/* and once more, by the helper's successor */
	hanging = fd_lingering(&second_peer);
	closer_close(&closer, hanging);
	closer_close(&closer, fd_observed(&second_peer));
	drain();
	ck_assert(closed_within(second_peer, 10000));
	ck_assert_uint_eq(closer.replaced, 2);
	close(peer);
	close(other);
}
END_TEST

/* Any number of fds behind one that hangs: queueing them does not hang, and all are closed. */
START_TEST(many_behind_a_hung_one)
{
	int peer;
	int keep = eventfd(0, EFD_CLOEXEC);
	int hanging = fd_lingering(&peer);
	uint64_t started = clock_now_ns();
	closer_close(&closer, hanging);
	while (is_open(hanging)) { /* its number is free once the helper is at it */
		ck_assert_uint_lt(clock_now_ns() - started, PATIENCE_NS);
		poll(NULL, 0, 1);
	}
	started = clock_now_ns();
	static int fds[MANY];
	for (size_t i = 0; i < MANY; i++) {
		int fd = fds[i] = fcntl(keep, F_DUPFD_CLOEXEC, 0);
		if (fd < 0) {
			puts("too few file descriptors here: many_behind_a_hung_one was not tried");
			break;
		}
		closer_close(&closer, fd);
	}
	ck_assert_uint_lt(clock_now_ns() - started, NS_PER_S);
	drain();
	ck_assert_uint_ge(closer.replaced, 1);
	for (size_t i = 0; i < MANY; i++) {
		ck_assert(fds[i] < 0 || !is_open(fds[i]));
	}
	close(peer);
	close(keep);
}
END_TEST

/* A helper without CPU time is waited for: fds that it has not begun with do not count as
 * closed. */
START_TEST(slow_is_not_hung)
{
	int others[20];
	pid_t pid = closer.pid;
	ck_assert_int_eq(kill(pid, SIGSTOP), 0);
	for (size_t i = 0; i < 20; i++) {
		closer_close(&closer, fd_observed(&others[i]));
	}
	uint64_t until = clock_now_ns() + 2500 * NS_PER_MS; /* longer than a hung one is given */
	while (clock_now_ns() < until) {
		tend();
	}
	ck_assert_int_eq(closer.pid, pid);
	ck_assert_uint_eq(closer_pending(&closer), 20);
	ck_assert_int_eq(kill(pid, SIGCONT), 0);
	drain();
	for (size_t i = 0; i < 20; i++) {
		ck_assert(closed_within(others[i], 10000));
		close(others[i]);
	}
}
END_TEST

/* The helper is killed by another process: its successor closes what it had not closed. */
START_TEST(killed_from_outside)
{
	int others[20];
	pid_t pid = closer.pid;
	ck_assert_int_eq(kill(pid, SIGSTOP), 0);
	for (size_t i = 0; i < 20; i++) {
		closer_close(&closer, fd_observed(&others[i]));
	}
	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	drain();
	ck_assert_int_ne(closer.pid, pid);
	for (size_t i = 0; i < 20; i++) {
		ck_assert(closed_within(others[i], 10000));
		close(others[i]);
	}
}
END_TEST

/* closer_finish() during a close that hangs does not wait the half minute. */
START_TEST(finished_hanging)
{
	int peer;
	uint64_t started = clock_now_ns();
	closer_close(&closer, fd_lingering(&peer));
	closer_finish(&closer);
	ck_assert_uint_lt(clock_now_ns() - started, NS_PER_S);
	closer_finish(&closer);
	close(peer);
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, closes);
	tcase_add_test(tcase, in_order);
	tcase_add_test(tcase, many);
	tcase_add_test(tcase, one_hangs);
	tcase_add_test(tcase, many_behind_a_hung_one);
	tcase_add_test(tcase, slow_is_not_hung);
	tcase_add_test(tcase, killed_from_outside);
	tcase_add_test(tcase, finished_hanging);
}

int main(void)
{
	struct rlimit limit;
	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max; /* more fds than are closed here */
	setrlimit(RLIMIT_NOFILE, &limit);
	return suite_main("closer", add);
}
