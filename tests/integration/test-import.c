// SPDX-License-Identifier: MIT
/* Eventfds as points: the first edge signals, points are reached in the order in which they were
 * given, and the daemon never reads the eventfd. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib-view.h"

/* An unsignalled import is late after this. */
#define MAX_IMPORT_MS 1000

static const char policy[] = "version = 1;\n"
			     "settings: { max_import_ms = 1000; };\n"
			     "rules: ( { user = \"*\"; connect = true; register = true;\n"
			     "           inspect = \"all\"; } );\n";

static struct daemon fencebrokerd;
static struct bystander bystander;
static struct client signaler, waiter;
static uint32_t device;
static struct view view, opened;

static void setup_with(const char *text)
{
	daemon_serve(&fencebrokerd, text);
	bystander_open(&bystander, &fencebrokerd);
	client_open(&signaler, &fencebrokerd);
	client_open(&waiter, &fencebrokerd);
	device = client_device(&signaler, "vcn0");
	view_pair(&signaler, device, "imported", FBK_TIMELINE_BROKERED, &waiter, &view, &opened);
}

static void setup(void)
{
	setup_with(NULL);
}

static void setup_impatient(void)
{
	setup_with(policy);
}

static void teardown(void)
{
	client_close(&waiter);
	client_close(&signaler);
	bystander_close(&bystander);
	daemon_stop(&fencebrokerd);
}

/* A fence for this point. The test keeps its own fd open. */
static int fence_for(uint64_t value, unsigned int count)
{
	int fd = eventfd(count, EFD_CLOEXEC | EFD_NONBLOCK);
	int r = view_import(&view, value, fd);
	ck_assert_msg(r == 0, "%s", signaler.detail);
	return fd;
}

static void fence_signal(int fd)
{
	const uint64_t one = 1;
	EXPECT(write(fd, &one, sizeof(one)) == sizeof(one));
}

/* It was never read: the counter has everything that was written. */
static void fence_expect(int fd, uint64_t count)
{
	uint64_t left;
	ck_assert_int_eq(read(fd, &left, sizeof(left)), sizeof(left));
	ck_assert_uint_eq(left, count);
	close(fd);
}

static void expect_counts(uint64_t made, uint64_t done, uint64_t failed)
{
	ck_assert_uint_eq(client_counter(&bystander.waiter, "imports"), made);
	ck_assert_uint_eq(client_counter(&bystander.waiter, "imports_done"), done);
	ck_assert_uint_eq(client_counter(&bystander.waiter, "imports_failed"), failed);
}

START_TEST(edge_signals)
{
	int fence = fence_for(5, 0);
	uint32_t sequence = cell_arm(&opened, 5);
	view_await_monitored(&opened, 5);
	ck_assert_uint_eq(view_payload(&opened), 0);
	expect_counts(1, 0, 0);
	fence_signal(fence);
	ck_assert_int_eq(cell_wait(&opened, sequence, PATIENCE_MS), 0);
	ck_assert_uint_eq(view_payload(&opened), 5);
	expect_counts(1, 1, 0);
	ck_assert_uint_eq(client_usage(&bystander.waiter, getuid(), "imports"), 0);
	fence_signal(fence); /* a second edge means nothing: it was one point */
	fence_expect(fence, 2);
	ck_assert_int_eq(point_wait(&opened, 6, 20), -ETIMEDOUT);
	ck_assert_uint_eq(view_status(&opened), FBK_STATUS_OK);
}
END_TEST

START_TEST(readable_already)
{
	int fence = fence_for(1, 7);
	ck_assert_int_eq(point_wait(&opened, 1, PATIENCE_MS), 0);
	fence_expect(fence, 7);
	expect_counts(1, 1, 0);
}
END_TEST

/* Fences may signal in any order; the points are reached in the order in which they were given. */
START_TEST(out_of_order)
{
	int first = fence_for(1, 0);
	int second = fence_for(20, 0);
	int third = fence_for(300, 0);
	fence_signal(third);
	client_await_counter(&bystander.waiter, "imports_done", 1);
	fence_signal(second);
	client_await_counter(&bystander.waiter, "imports_done", 2);
	ck_assert_uint_eq(view_payload(&opened), 0);
	fence_signal(first);
	ck_assert_int_eq(point_wait(&opened, 300, PATIENCE_MS), 0);
	ck_assert_uint_eq(view_payload(&opened), 300);
	fence_expect(first, 1);
	fence_expect(second, 1);
	fence_expect(third, 1);
}
END_TEST

START_TEST(in_between)
{
	int first = fence_for(1, 0);
	int third = fence_for(3, 0);
	ck_assert_int_eq(view_request_signal(&view, 3), -EALREADY);
	ck_assert_int_eq(view_request_signal(&view, 4), 0); /* after the one given before */
	fence_signal(third);
	client_await_counter(&bystander.waiter, "imports_done", 1);
	ck_assert_uint_eq(view_payload(&opened), 0);
	fence_signal(first);
	ck_assert_int_eq(point_wait(&opened, 4, PATIENCE_MS), 0);
	fence_expect(first, 1);
	fence_expect(third, 1);
}
END_TEST

/* Points only rise; a refused fence is closed and leaves no trace. */
START_TEST(refused)
{
	int fence = fence_for(5, 0);
	static const struct {
		uint64_t value;
		int error;
	} wrong[] = { { 5, -EALREADY }, { 4, -EALREADY }, { 0, -ERANGE }, { FBK_POISON, -ERANGE } };
	for (size_t i = 0; i < 4; i++) {
		ck_assert_int_eq(view_import(&view, wrong[i].value, fence), wrong[i].error);
	}
	ck_assert_int_eq(view_import(&view, 5, fence), -EALREADY);
	ck_assert_msg(strstr(signaler.detail, "5 is not above 5"), "%s", signaler.detail);
	expect_counts(1, 0, 0);
	fence_signal(fence);
	ck_assert_int_eq(point_wait(&opened, 5, PATIENCE_MS), 0);
	fence_expect(fence, 1);
}
END_TEST

START_TEST(after_failure)
{
	int first = fence_for(1, 0);
	int second = fence_for(2, 0);
	fence_signal(first);
	ck_assert_int_eq(point_wait(&opened, 1, PATIENCE_MS), 0);
	ck_assert_int_eq(view_fail(&view, -ECANCELED, "enough"), 0);
	ck_assert_int_eq(view_import(&view, 3, second), -EREMOTEIO);
	ck_assert_msg(strstr(signaler.detail, "enough"), "%s", signaler.detail);
	fence_signal(second); /* no import follows it any more */
	ck_assert_int_eq(point_wait(&opened, 2, 20), -ECANCELED);
	ck_assert_int_eq(point_check(&opened, 1), 0);
	ck_assert_uint_eq(client_usage(&bystander.waiter, getuid(), "imports"), 0);
	fence_expect(first, 1);
	fence_expect(second, 1);
}
END_TEST

/* The client that gave the fences ends: reached points count, the others fail. */
START_TEST(signaler_goes)
{
	int first = fence_for(1, 0);
	int second = fence_for(2, 0);
	fence_signal(first);
	ck_assert_int_eq(point_wait(&opened, 1, PATIENCE_MS), 0);
	client_close(&signaler);
	ck_assert_int_eq(point_wait(&opened, 2, PATIENCE_MS), -EOWNERDEAD);
	ck_assert_int_eq(point_check(&opened, 1), 0);
	close(first);
	close(second);
}
END_TEST

/* The same eventfd for several points, blocking and full: reading or writing it would block the
 * daemon. */
START_TEST(shared_and_blocking)
{
	const uint64_t most = UINT64_MAX - 1;
	int fence = eventfd(0, EFD_CLOEXEC);
	for (uint64_t value = 1; value <= 10; value++) {
		ck_assert_int_eq(view_import(&view, value, fence), 0);
	}
	bystander_round(&bystander);
	ck_assert_int_eq(write(fence, &most, sizeof(most)), sizeof(most));
	ck_assert_int_eq(point_wait(&opened, 10, PATIENCE_MS), 0);
	bystander_round(&bystander);
	fence_expect(fence, most);
	expect_counts(10, 10, 0);
}
END_TEST

/* The right to signal suffices to give fences; they stay when the giver ends. */
START_TEST(given_by_another)
{
	struct client other;
	struct view theirs;
	int token;
	int fence = eventfd(0, EFD_CLOEXEC);
	ck_assert_int_eq(view_share(&view, FBK_RIGHT_SIGNAL, &token), 0);
	client_open(&other, &fencebrokerd);
	ck_assert_int_eq(view_open(&other, token, &theirs), 0);
	ck_assert_int_eq(view_import(&theirs, 1, fence), 0);
	client_close(&other);
	bystander_round(&bystander);
	fence_signal(fence);
	ck_assert_int_eq(point_wait(&opened, 1, PATIENCE_MS), 0);
	ck_assert_int_eq(view_request_signal(&view, 2), 0);
	fence_expect(fence, 1);
	close(token);
}
END_TEST

/* The client closes its fd before the signal: the daemon's copy follows the fence to its end. */
START_TEST(abandoned)
{
	close(fence_for(1, 0));
	bystander_round(&bystander);
	ck_assert_int_eq(view_request_signal(&view, 2), 0);
	ck_assert_uint_eq(view_payload(&opened), 0);
	ck_assert_int_eq(view_close(&view), 0);
	ck_assert_int_eq(point_wait(&opened, 1, PATIENCE_MS), -EPIPE);
}
END_TEST

/* An exported point imported again, in one daemon: the point follows through both. */
START_TEST(chained)
{
	struct view source, end;
	int fd;
	view_pair(&signaler, device, "source", 0, &waiter, &source, &end);
	ck_assert_int_eq(view_export(&end, 1, FBK_FENCE_EVENTFD, UINT64_MAX, &fd), 0);
	ck_assert_int_eq(view_import(&view, 1, fd), 0);
	close(fd);
	bystander_round(&bystander);
	ck_assert_int_eq(point_check(&opened, 1), -EAGAIN);
	ck_assert(view_signal(&source, 0, 1));
	ck_assert_int_eq(point_wait(&opened, 1, PATIENCE_MS), 0);
}
END_TEST

static void expect_late(const char *point, uint64_t times)
{
	char log[16384], says[128];
	client_await_counter(&bystander.waiter, "imports_late", times);
	daemon_log_text(&fencebrokerd, log, sizeof(log));
	snprintf(says, sizeof(says), "its import is late: imported point %s of vcn0 (pid %d)",
		 point, getpid());
	ck_assert_msg(strstr(log, says), "%s", log);
	ck_assert_ptr_null(strstr(strstr(log, says) + 1, says)); /* once */
}

/* With an impatient policy: late is said, and not over. Who waits ends by its own deadline. */
START_TEST(late)
{
	uint64_t started = now_ms();
	int first = fence_for(1, 0);
	int second = fence_for(2, 0);
	struct fbk_timeline_info info = { .struct_size = sizeof(info) };
	fence_signal(first);
	ck_assert_int_eq(point_wait(&opened, 1, PATIENCE_MS), 0);
	expect_late("2 (now 1)", 1);
	ck_assert_uint_ge(now_ms() - started, MAX_IMPORT_MS - 1);
	ck_assert_int_eq(point_wait(&opened, 2, 2 * MAX_IMPORT_MS), -ETIMEDOUT);
	ck_assert_int_eq(view_info(&opened, &info), 0);
	ck_assert_int_eq(info.cause, FBK_CAUSE_NONE);
	expect_late("2 (now 1)", 1);
	expect_counts(2, 1, 0);
	fence_signal(second);
	ck_assert_int_eq(point_wait(&opened, 2, PATIENCE_MS), 0);
	int third = fence_for(3, 1); /* as if nothing had been late */
	ck_assert_int_eq(point_wait(&opened, 3, PATIENCE_MS), 0);
	expect_counts(3, 3, 0);
	fence_expect(first, 1);
	fence_expect(second, 1);
	fence_expect(third, 1);
}
END_TEST

/* One is late, and those behind it wait for it: one line. All come in order in the end. */
START_TEST(late_in_the_middle)
{
	int first = fence_for(1, 0);
	int second = fence_for(2, 0);
	int third = fence_for(3, 1);
	client_await_counter(&bystander.waiter, "imports_done", 1);
	expect_late("1 (now 0)", 2);
	fence_signal(second);
	client_await_counter(&bystander.waiter, "imports_done", 2);
	ck_assert_int_eq(point_check(&opened, 1), -EAGAIN);
	ck_assert_int_eq(point_check(&opened, 3), -EAGAIN);
	fence_signal(first);
	ck_assert_int_eq(point_wait(&opened, 3, PATIENCE_MS), 0);
	fence_expect(first, 1);
	fence_expect(second, 1);
	fence_expect(third, 1);
}
END_TEST

/* Its signaler is who keeps it: it ends with that. */
START_TEST(late_and_left)
{
	int fence = fence_for(1, 0);
	client_await_counter(&bystander.waiter, "imports_late", 1);
	client_close(&signaler);
	ck_assert_int_eq(point_wait(&opened, 1, PATIENCE_MS), -EOWNERDEAD);
	close(fence);
	client_open(&signaler, &fencebrokerd);
}
END_TEST

static void await_time(uint64_t ms)
{
	while (now_ms() <= ms) {
		yield_briefly();
	}
}

/* The daemon is stopped while some deadline passes, then the fence signals, and then the deadline
 * of the import passes (_i 0), or that of a watch (1). It handles the timer first. */
START_TEST(signalled_by_the_deadline)
{
	struct view other_signals, other;
	uint64_t number;
	int result;
	view_pair(&signaler, device, "other", 0, &waiter, &other_signals, &other);
	uint64_t start = now_ms();
	ck_assert_int_eq(view_watch(&other, 1, (start + 50) * 1000000, 1), 0);
	int fence = fence_for(5, 0);
	if (_i == 1) {
		ck_assert_int_eq(view_watch(&opened, 5, (start + 150) * 1000000, 2), 0);
	}
	ck_assert_int_eq(kill(fencebrokerd.pid, SIGSTOP), 0);
	ck_assert_int_eq(waitpid(fencebrokerd.pid, &result, WUNTRACED), fencebrokerd.pid);
	await_time(start + 50 + 5);
	fence_signal(fence);
	uint64_t signalled = now_ms();
	await_time(start + (_i == 1 ? 150 : MAX_IMPORT_MS) + 50);
	ck_assert_int_eq(kill(fencebrokerd.pid, SIGCONT), 0);
	client_next_fired(&waiter, &number, &result);
	ck_assert_uint_eq(number, 1);
	ck_assert_int_eq(result, -ETIMEDOUT);
	if (_i == 1) {
		client_next_fired(&waiter, &number, &result);
		ck_assert_uint_eq(number, 2);
		ck_assert(result == 0 || signalled >= start + 150);
	} else {
		int r = point_wait(&opened, 5, PATIENCE_MS);
		ck_assert(r == 0 || signalled >= start + MAX_IMPORT_MS);
	}
	close(fence);
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, edge_signals);
	tcase_add_test(tcase, readable_already);
	tcase_add_test(tcase, out_of_order);
	tcase_add_test(tcase, in_between);
	tcase_add_test(tcase, refused);
	tcase_add_test(tcase, after_failure);
	tcase_add_test(tcase, signaler_goes);
	tcase_add_test(tcase, shared_and_blocking);
	tcase_add_test(tcase, given_by_another);
	tcase_add_test(tcase, abandoned);
	tcase_add_test(tcase, chained);
}

static void add_impatient(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup_impatient, teardown);
	tcase_add_test(tcase, late);
	tcase_add_test(tcase, late_and_left);
	tcase_add_test(tcase, late_in_the_middle);
	tcase_add_loop_test(tcase, signalled_by_the_deadline, 0, 2);
}

int main(void)
{
	int r = suite_main("import", add);
	return r == 0 ? suite_main("import deadline", add_impatient) : r;
}
