// SPDX-License-Identifier: MIT
/* Points as eventfds: they fire once, for any end of the point, and only then. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib-view.h"

static struct daemon fencebrokerd;
static struct bystander bystander;
static struct client signaler, waiter;
static uint32_t device;
static struct view view, opened;

static void setup(void)
{
	daemon_serve(&fencebrokerd, NULL);
	bystander_open(&bystander, &fencebrokerd);
	client_open(&signaler, &fencebrokerd);
	client_open(&waiter, &fencebrokerd);
	device = client_device(&signaler, "cpu0");
	view_pair(&signaler, device, "exported", 0, &waiter, &view, &opened);
}

static void teardown(void)
{
	client_close(&waiter);
	client_close(&signaler);
	bystander_close(&bystander);
	daemon_stop(&fencebrokerd);
}

static int export_point(uint64_t value, uint64_t deadline_ns)
{
	int fd;
	int r = view_export(&opened, value, FBK_FENCE_EVENTFD, deadline_ns, &fd);
	ck_assert_msg(r == 0, "%s", waiter.detail);
	ck_assert(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	ck_assert(fcntl(fd, F_GETFL) & O_NONBLOCK);
	return fd;
}

static bool readable(int fd, int timeout_ms)
{
	struct pollfd polled = { .fd = fd, .events = POLLIN };
	return poll(&polled, 1, timeout_ms) == 1 && polled.revents & POLLIN;
}

/* Fires within PATIENCE_MS, and exactly once. */
static void expect_fired(int fd)
{
	uint64_t count;
	ck_assert(readable(fd, PATIENCE_MS));
	ck_assert_int_eq(read(fd, &count, sizeof(count)), sizeof(count));
	ck_assert_uint_eq(count, 1);
	close(fd);
}

struct counts {
	uint64_t made, fired, expired;
};

static struct counts counts_now(void)
{
	return (struct counts){
		.made = client_counter(&bystander.waiter, "exports"),
		.fired = client_counter(&bystander.waiter, "exports_fired"),
		.expired = client_counter(&bystander.waiter, "exports_expired"),
	};
}

static void expect_counts(uint64_t made, uint64_t fired, uint64_t expired)
{
	struct counts counts = counts_now();
	ck_assert_uint_eq(counts.made, made);
	ck_assert_uint_eq(counts.fired, fired);
	ck_assert_uint_eq(counts.expired, expired);
	ck_assert_uint_eq(client_usage(&bystander.waiter, getuid(), "exports"),
			  made - fired - expired); /* a decided point is not charged */
}

START_TEST(fires_when_reached)
{
	int three = export_point(3, UINT64_MAX);
	int five = export_point(5, UINT64_MAX);
	ck_assert_uint_eq(view_monitored(&view), 3);
	expect_counts(2, 0, 0);
	ck_assert(view_signal(&view, 0, 2));
	ck_assert(!readable(three, 0));
	ck_assert(view_signal(&view, 2, 3));
	expect_fired(three);
	view_await_monitored(&view, 5);
	ck_assert(!readable(five, 0));
	expect_counts(2, 1, 0);
	ck_assert(view_signal(&view, 3, 1000));
	expect_fired(five);
	view_await_monitored(&view, FBK_MONITORED_NONE);
	expect_counts(2, 2, 0);
}
END_TEST

START_TEST(reached_already)
{
	ck_assert(view_signal(&view, 0, 3)); /* without a bell: nothing was armed */
	int fd = export_point(3, UINT64_MAX);
	ck_assert(readable(fd, 0)); /* before the answer came */
	expect_fired(fd);
	fd = export_point(1, 0); /* reached wins over a passed deadline */
	expect_fired(fd);
	expect_counts(2, 2, 0);
}
END_TEST

START_TEST(fires_when_failed)
{
	int fd = export_point(3, UINT64_MAX);
	ck_assert_int_eq(view_fail(&view, -EIO, ""), 0);
	expect_fired(fd);
	expect_fired(export_point(4, UINT64_MAX));
	expect_counts(2, 2, 0);
}
END_TEST

START_TEST(fires_at_its_deadline)
{
	uint64_t deadline = monotonic_ns() + 50000000;
	int fd = export_point(3, deadline);
	ck_assert(readable(fd, PATIENCE_MS));
	ck_assert_uint_ge(monotonic_ns(), deadline); /* never early */
	expect_fired(fd);
	ck_assert_int_eq(point_check(&opened, 3), -EAGAIN); /* so that the reader can tell */
	expect_counts(1, 0, 1);
	view_await_monitored(&view, FBK_MONITORED_NONE);
	expect_fired(export_point(3, 0));
	expect_fired(export_point(3, 1));
	expect_counts(3, 0, 3);
	ck_assert(view_signal(&view, 0, 3)); /* too late for those exports, and harmless */
	expect_counts(3, 0, 3);
}
END_TEST

/* The daemon reads the payload at the deadline: a signal without a bell fires the eventfd, it does
 * not expire. */
START_TEST(deadline_looks)
{
	int fd = export_point(1, monotonic_ns() + 50000000);
	atomic_store(&view.payload->payload, 1);
	expect_fired(fd);
	expect_counts(1, 1, 0);
}
END_TEST

/* A late sync_file is a signalled one: there is none before the point is reached, and none without
 * a provider. */
START_TEST(no_sync_file_before_the_point)
{
	bool makes = waiter.features & (UINT64_C(1) << FBK_FEATURE_EXPORT_SYNC_FILE);
	int fd = -1;
	ck_assert_int_eq(view_export(&opened, 1, FBK_FENCE_SYNC_FILE, UINT64_MAX, &fd),
			 makes ? -EAGAIN : -EOPNOTSUPP);
	ck_assert_msg(strstr(waiter.detail, makes ? "wait first" : "fencectl doctor"), "%s",
		      waiter.detail);
	expect_counts(0, 0, 0);
}
END_TEST

START_TEST(only_kernel_fences)
{
	static const uint32_t kinds[] = { FBK_FENCE_MEMORY64,
					  FBK_FENCE_MEMORY32,
					  FBK_FENCE_DMA_BUF_IMPLICIT,
					  0,
					  FBK_FENCE_EVENTFD | FBK_FENCE_SYNC_FILE,
					  1U << 31 };
	int fd = -1;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		ck_assert_int_eq(view_export(&opened, 1, kinds[i], UINT64_MAX, &fd), -EOPNOTSUPP);
		ck_assert_msg(strstr(waiter.detail, "eventfd"), "%s", waiter.detail);
	}
	expect_counts(0, 0, 0);
}
END_TEST

/* A holder of the eventfd can spoil only its own. The daemon fires it without blocking. */
START_TEST(filled_and_blocking)
{
	const uint64_t most = UINT64_MAX - 1;
	int reached = export_point(1, UINT64_MAX);
	int failed = export_point(2, UINT64_MAX);
	int expired = export_point(3, monotonic_ns() + 50000000);
	int fds[] = { reached, failed, expired };
	for (size_t i = 0; i < 3; i++) {
		ck_assert_int_eq(write(fds[i], &most, sizeof(most)), sizeof(most));
		ck_assert_int_eq(fcntl(fds[i], F_SETFL, 0), 0);
	}
	client_await_counter(&bystander.waiter, "exports_expired", 1);
	bystander_round(&bystander);
	ck_assert(view_signal(&view, 0, 1));
	client_await_counter(&bystander.waiter, "exports_fired", 1);
	bystander_round(&bystander);
	ck_assert_int_eq(view_fail(&view, -EIO, ""), 0);
	bystander_round(&bystander);
	expect_counts(3, 2, 1);
	for (size_t i = 0; i < 3; i++) {
		ck_assert(readable(fds[i], 0));
		close(fds[i]);
	}
}
END_TEST

/* More at once than the daemon's completion ring holds: all fire, and other clients are served. */
START_TEST(many_at_once)
{
	int fds[500];
	for (size_t i = 0; i < 500; i++) {
		fds[i] = export_point(1, UINT64_MAX);
	}
	ck_assert(view_signal(&view, 0, 1));
	for (size_t i = 0; i < 500; i++) {
		expect_fired(fds[i]);
	}
	bystander_round(&bystander);
	expect_counts(500, 500, 0);
}
END_TEST

/* The holder closes its end, or dies: nothing hangs and nothing stays. */
START_TEST(holder_goes)
{
	close(export_point(1, UINT64_MAX));
	int kept = export_point(2, UINT64_MAX);
	ck_assert(view_signal(&view, 0, 1));
	client_await_counter(&bystander.waiter, "exports_fired", 1);
	client_close(&waiter);
	expect_fired(kept); /* the wait ends, also for those who got the fd from it */
	ck_assert_uint_eq(client_usage(&bystander.waiter, getuid(), "exports"), 0);
}
END_TEST

/* The handle is closed during an export of it: the export goes on without it. */
START_TEST(outlives_its_handle)
{
	int fd = export_point(1, UINT64_MAX);
	ck_assert_int_eq(view_close(&opened), 0);
	ck_assert(!readable(fd, 0));
	ck_assert(view_signal(&view, 0, 1));
	expect_fired(fd);
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, fires_when_reached);
	tcase_add_test(tcase, reached_already);
	tcase_add_test(tcase, fires_when_failed);
	tcase_add_test(tcase, fires_at_its_deadline);
	tcase_add_test(tcase, deadline_looks);
	tcase_add_test(tcase, no_sync_file_before_the_point);
	tcase_add_test(tcase, only_kernel_fences);
	tcase_add_test(tcase, filled_and_blocking);
	tcase_add_test(tcase, many_at_once);
	tcase_add_test(tcase, holder_goes);
	tcase_add_test(tcase, outlives_its_handle);
}

int main(void)
{
	return suite_main("export", add);
}
