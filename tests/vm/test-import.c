// SPDX-License-Identifier: MIT
/* Kernel fences that become points: sync_files with their errors, several at once, and fds that the
 * daemon must refuse. */
#include "lib-lab.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#define IMPORT_MS 700

static struct lab lab;
static struct fbk_timeline *line; /* brokered, of the waiter */
static int device;                /* creates fences; -1: module not loaded */
static unsigned int fds;

static void serve(unsigned int import_ms)
{
	daemon_serve(&lab.daemon, lab_policy(import_ms));
	lab.signaler = peer_connect(&lab.daemon); /* stays for the whole test, and does nothing */
	fds = lab_fd_count(&lab.daemon);
	lab.waiter = peer_connect(&lab.daemon);
	lab.imports = peer_device(lab.waiter, "importer");
	line = peer_timeline(lab.imports, "line", FBK_TIMELINE_BROKERED);
	device = test_fence_open();
	ck_assert_msg(device >= 0, "the test driver is not loaded");
}

static void setup(void)
{
	serve(60000);
}

/* In every case the daemon keeps nothing. */
static void teardown(void)
{
	fbk_disconnect(lab.waiter);
	lab_await_fds(&lab.daemon, fds);
	fbk_disconnect(lab.signaler);
	daemon_stop(&lab.daemon);
	close(device);
}

static struct fbk_point point(uint64_t value)
{
	return (struct fbk_point){ line, value };
}

static int fence(uint32_t *ret_id)
{
	int fd = test_fence_create(device, ret_id);
	ck_assert_int_ge(fd, 0);
	return fd;
}

static void signal_fence(uint32_t id, int error)
{
	ck_assert_int_eq(test_fence_signal(device, id, error), 0);
}

static int wait_for(uint64_t value)
{
	return fbk_point_wait(point(value), deadline_ms(PATIENCE_MS));
}

static void expect_failed(int error, enum fbk_cause cause, const char *what)
{
	struct fbk_timeline_info info = { .struct_size = sizeof(info) };
	ck_assert_int_eq(fbk_timeline_info(line, &info), 0);
	ck_assert_int_eq(info.cause, cause);
	ck_assert_int_eq(info.error, error);
	ck_assert_msg(strstr(info.reason, what), "%s", info.reason);
}

START_TEST(follows_a_sync_file)
{
	uint32_t first, second;
	ck_assert_int_eq(fbk_point_signal_on(point(1), fence(&first)), 0);
	ck_assert_int_eq(fbk_point_signal_on(point(2), fence(&second)), 0);
	ck_assert_int_eq(fbk_point_check(point(1)), -EAGAIN);
	signal_fence(second, 0); /* out of order: it waits for the first */
	ck_assert_int_eq(fbk_point_wait(point(2), deadline_ms(50)), -ETIMEDOUT);
	signal_fence(first, 0);
	ck_assert_int_eq(wait_for(2), 0);
}
END_TEST

START_TEST(signalled_already)
{
	uint32_t id;
	int fd = fence(&id);
	signal_fence(id, 0);
	ck_assert_int_eq(fbk_point_signal_on(point(1), fd), 0);
	ck_assert_int_eq(wait_for(1), 0);
}
END_TEST

START_TEST(in_error)
{
	uint32_t first, second;
	ck_assert_int_eq(fbk_point_signal_on(point(1), fence(&first)), 0);
	ck_assert_int_eq(fbk_point_signal_on(point(2), fence(&second)), 0);
	signal_fence(first, 0);
	signal_fence(second, -EIO);
	ck_assert_int_eq(wait_for(2), -EIO);
	ck_assert_int_eq(fbk_point_check(point(1)), 0);
	expect_failed(-EIO, FBK_CAUSE_FENCE_ERROR, "kernel fence");
}
END_TEST

START_TEST(in_error_already)
{
	uint32_t id;
	int fd = fence(&id);
	signal_fence(id, -ENODEV);
	ck_assert_int_eq(fbk_point_signal_on(point(1), fd), 0);
	ck_assert_int_eq(wait_for(1), -ENODEV);
}
END_TEST

/* What the kernel says of an innocent request (i915), of a queue that ends (amdgpu), and the others that the library uses
 * itself. _i: the errno, and whether it has signalled before. */
static const int foreign[] = { -EAGAIN, -ETIMEDOUT, -ENOTCONN, -EBADF, -EALREADY, -ECANCELED };

START_TEST(in_error_like_ours)
{
	uint32_t id;
	int error = foreign[_i / 2], fd = fence(&id);
	if (_i % 2) {
		signal_fence(id, error);
	}
	ck_assert_int_eq(fbk_point_signal_on(point(1), fd), 0);
	if (_i % 2 == 0) {
		signal_fence(id, error);
	}
	ck_assert_int_eq(wait_for(1), -EREMOTEIO);
	ck_assert_int_eq(fbk_point_check(point(1)), -EREMOTEIO);
	expect_failed(error, FBK_CAUSE_FENCE_ERROR, "kernel fence");
}
END_TEST

/* A fence that takes longer than the policy finds usual: late, and not over. */
START_TEST(late)
{
	uint32_t id;
	teardown();
	serve(IMPORT_MS);
	ck_assert_int_eq(fbk_point_signal_on(point(1), fence(&id)), 0);
	ck_assert_int_eq(fbk_point_wait(point(1), deadline_ms(2 * IMPORT_MS)), -ETIMEDOUT);
	ck_assert_uint_eq(lab_counter(&lab.daemon, "imports_late"), 1);
	ck_assert_int_eq(fbk_point_check(point(1)), -EAGAIN);
	signal_fence(id, 0);
	ck_assert_int_eq(wait_for(1), 0);
	ck_assert_uint_eq(lab_counter(&lab.daemon, "imports_done"), 1);
	ck_assert_uint_eq(lab_counter(&lab.daemon, "imports_failed"), 0);
}
END_TEST

/* The device goes away: its driver ends its fences in error. */
START_TEST(device_goes)
{
	uint32_t id;
	ck_assert_int_eq(fbk_point_signal_on(point(1), fence(&id)), 0);
	close(device);
	ck_assert_int_eq(wait_for(1), -ENOENT);
	device = test_fence_open();
}
END_TEST

/* ----------------------------------------------------------------------------- several at once -- */

/* What the kernel's merge does with an earlier error, and what we do. */
START_TEST(merge_drops_errors_and_we_do_not)
{
	uint32_t ids[3];
	int files[3], copies[2];
	for (int i = 0; i < 3; i++) {
		files[i] = fence(&ids[i]);
	}
	signal_fence(ids[0], -EIO);
	int merged = sync_file_merge(files[0], files[1]);
	ck_assert_int_ge(merged, 0);
	copies[0] = files[0];
	copies[1] = files[1];
	ck_assert_int_eq(fbk_point_signal_on_all(point(1), copies, 2), 0);
	signal_fence(ids[1], 0);
	ck_assert_int_eq(sync_file_status(merged), 1); /* the error is gone */
	ck_assert_int_eq(wait_for(1), -EIO);
	close(merged);
	close(files[2]);
}
END_TEST

/* One failed; the others may still use the buffer. */
START_TEST(waits_for_all_also_after_an_error)
{
	uint32_t ids[3];
	int files[3];
	for (int i = 0; i < 3; i++) {
		files[i] = fence(&ids[i]);
	}
	ck_assert_int_eq(fbk_point_signal_on_all(point(1), files, 3), 0);
	signal_fence(ids[1], -EPIPE);
	ck_assert_int_eq(fbk_point_wait(point(1), deadline_ms(60)), -ETIMEDOUT);
	signal_fence(ids[0], -EIO);
	ck_assert_int_eq(fbk_point_wait(point(1), deadline_ms(60)), -ETIMEDOUT);
	signal_fence(ids[2], 0);
	ck_assert_int_eq(wait_for(1), -EPIPE);
}
END_TEST

START_TEST(merged_by_the_kernel)
{
	uint32_t ids[2];
	int files[2];
	for (int i = 0; i < 2; i++) {
		files[i] = fence(&ids[i]);
	}
	int merged = sync_file_merge(files[0], files[1]);
	ck_assert_int_eq(fbk_point_signal_on(point(1), merged), 0);
	signal_fence(ids[0], 0);
	ck_assert_int_eq(fbk_point_wait(point(1), deadline_ms(60)), -ETIMEDOUT);
	signal_fence(ids[1], -EIO); /* after the merge: the merge keeps that error */
	ck_assert_int_eq(wait_for(1), -EIO);
	close(files[0]);
	close(files[1]);
}
END_TEST

/* More fences in one than we look at one by one: then the kernel's status of the whole counts. */
START_TEST(merged_of_very_many)
{
	uint32_t ids[100];
	int merged = fence(&ids[0]);
	for (int i = 1; i < 100; i++) {
		int next = fence(&ids[i]);
		int both = sync_file_merge(merged, next);
		ck_assert_int_ge(both, 0);
		close(merged);
		close(next);
		merged = both;
	}
	ck_assert_int_eq(fbk_point_signal_on(point(1), merged), 0);
	for (int i = 0; i < 99; i++) {
		signal_fence(ids[i], i == 70 ? -EIO : 0);
	}
	ck_assert_int_eq(fbk_point_wait(point(1), deadline_ms(60)), -ETIMEDOUT);
	signal_fence(ids[99], 0);
	ck_assert_int_eq(wait_for(1), -EIO);
}
END_TEST

START_TEST(mixed_with_an_eventfd)
{
	uint32_t id;
	int event = eventfd(0, EFD_CLOEXEC);
	int files[2] = { fence(&id), fcntl(event, F_DUPFD_CLOEXEC, 0) };
	ck_assert_int_eq(fbk_point_signal_on_all(point(1), files, 2), 0);
	signal_fence(id, 0);
	ck_assert_int_eq(fbk_point_wait(point(1), deadline_ms(60)), -ETIMEDOUT);
	eventfd_write(event, 1);
	ck_assert_int_eq(wait_for(1), 0);
	close(event);
}
END_TEST

START_TEST(as_many_as_are_taken)
{
	uint32_t ids[FBK_FENCES_MAX + 1];
	int files[FBK_FENCES_MAX + 1];
	for (int i = 0; i <= FBK_FENCES_MAX; i++) {
		files[i] = fence(&ids[i]);
	}
	ck_assert_int_eq(fbk_point_signal_on_all(point(1), files, 0), -EINVAL);
	ck_assert_int_eq(fbk_point_signal_on_all(point(1), files, FBK_FENCES_MAX), 0);
	ck_assert_int_eq(fcntl(files[0], F_GETFD), -1); /* the daemon closes it */
	for (int i = 0; i < FBK_FENCES_MAX; i++) {
		signal_fence(ids[i], 0);
	}
	ck_assert_int_eq(wait_for(1), 0);
	for (int i = 0; i <= FBK_FENCES_MAX; i++) {
		files[i] = fence(&ids[i]);
	}
	ck_assert_int_eq(fbk_point_signal_on_all(point(2), files, FBK_FENCES_MAX + 1), -EINVAL);
	ck_assert_int_eq(fcntl(files[FBK_FENCES_MAX], F_GETFD), -1); /* on failure too */
}
END_TEST

/* ------------------------------------------------------------------------------- deadline hints -- */

START_TEST(deadlines_are_passed_on)
{
	uint32_t id;
	uint64_t told = 0;
	uint64_t wanted = deadline_ms(400);
	int fd;
	ck_assert_int_eq(fbk_point_signal_on(point(1), fence(&id)), 0);
	int r = test_fence_deadline(device, id, &told);
	if (r == -EOPNOTSUPP || !kernel_is(6, 8)) {
		ck_assert(!kernel_is(6, 8)); /* SYNC_IOC_SET_DEADLINE came with it */
		signal_fence(id, 0);
		return;
	}
	ck_assert_uint_eq(told, 0);
	ck_assert_int_eq(fbk_point_export(point(1), FBK_FENCE_EVENTFD, wanted, &fd), 0);
	ck_assert_int_eq(test_fence_deadline(device, id, &told), 0);
	ck_assert_uint_eq(told, wanted);
	signal_fence(id, 0);
	ck_assert_int_eq(wait_for(1), 0);
	close(fd);
}
END_TEST

/* ------------------------------------------------------------------------------------- limits --- */

START_TEST(pending_imports_are_capped)
{
	struct rlimit limit = { 200000, 200000 };
	uint32_t id;
	struct fbk_timeline_info info = { .struct_size = sizeof(info) };
	setrlimit(RLIMIT_NOFILE, &limit);
	int fd = fence(&id);
	/* The same fence, many times over: each import costs the daemon something. */
	for (unsigned int i = 1; i <= 5000; i++) {
		int r;
		while ((r = fbk_point_signal_on(point(i), fcntl(fd, F_DUPFD_CLOEXEC, 0))) ==
		       -EAGAIN) {
			yield_briefly(); /* the daemon is slower */
		}
		ck_assert_int_eq(r, 0);
	}
	signal_fence(id, 0);
	/* What was taken is reached; the first that was not fails the timeline. */
	ck_assert_int_eq(wait_for(5000), -EDQUOT);
	ck_assert_int_eq(fbk_timeline_info(point(1).timeline, &info), 0);
	ck_assert_uint_le(info.value, 4096);
	ck_assert_uint_ge(info.value, 1000);
	ck_assert_ptr_nonnull(strstr(info.reason, "a limit of uid 0 is reached"));
	printf("%u pending imports taken, then: %s\n", (unsigned int)info.value, info.reason);
	close(fd);
}
END_TEST

/* A client out of fds: it gets an error that says so, and can go on. */
START_TEST(client_out_of_fds)
{
	struct rlimit old, limit;
	uint32_t id;
	int fd = fence(&id);
	int held = -1;
	signal_fence(id, 0);
	ck_assert_int_eq(fbk_point_signal_on(point(1), fd), 0);
	ck_assert_int_eq(wait_for(1), 0);
	getrlimit(RLIMIT_NOFILE, &old);
	limit = old;
	int next = fcntl(0, F_DUPFD_CLOEXEC, 0);
	close(next);
	limit.rlim_cur = (rlim_t)next; /* every lower one is in use */
	setrlimit(RLIMIT_NOFILE, &limit);
	ck_assert_int_lt(fbk_point_export(point(1), FBK_FENCE_SYNC_FILE, deadline_ms(1000), &held),
			 0);
	ck_assert_msg(strstr(fbk_error_detail(), "limit of open files"), "%s", fbk_error_detail());
	setrlimit(RLIMIT_NOFILE, &old);
	ck_assert_int_eq(fbk_point_export(point(1), FBK_FENCE_SYNC_FILE, deadline_ms(1000), &held),
			 0);
	ck_assert_int_eq(sync_file_status(held), 1);
	close(held);
}
END_TEST

/* ------------------------------------------------------------------------------ late sync_files -- */

START_TEST(late_export)
{
	uint32_t id;
	int fd = -1;
	ck_assert_int_eq(fbk_point_signal_on(point(1), fence(&id)), 0);
	ck_assert_int_eq(fbk_point_export(point(1), FBK_FENCE_SYNC_FILE, deadline_ms(50), &fd),
			 -ETIMEDOUT);
	ck_assert_int_eq(fd, -1);
	signal_fence(id, 0);
	ck_assert_int_eq(
		fbk_point_export(point(1), FBK_FENCE_SYNC_FILE, deadline_ms(PATIENCE_MS), &fd), 0);
	ck_assert_int_eq(sync_file_status(fd), 1);
	/* The kernel accepts it everywhere: in the daemon's own check, and back again. */
	ck_assert_int_eq(fbk_fence_classify(lab.waiter, fd), FBK_FENCE_SYNC_FILE);
	ck_assert_int_eq(fbk_point_signal_on(point(2), fd), 0);
	ck_assert_int_eq(wait_for(2), 0);
	ck_assert_int_eq(fbk_timeline_fail(point(3).timeline, -EIO, NULL), 0);
	ck_assert_int_eq(fbk_point_export(point(3), FBK_FENCE_SYNC_FILE, deadline_ms(1000), &fd),
			 -EIO);
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, follows_a_sync_file);
	tcase_add_test(tcase, signalled_already);
	tcase_add_test(tcase, in_error);
	tcase_add_test(tcase, in_error_already);
	tcase_add_loop_test(tcase, in_error_like_ours, 0, 12);
	tcase_add_test(tcase, late);
	tcase_add_test(tcase, device_goes);
	tcase_add_test(tcase, merge_drops_errors_and_we_do_not);
	tcase_add_test(tcase, waits_for_all_also_after_an_error);
	tcase_add_test(tcase, merged_by_the_kernel);
	tcase_add_test(tcase, merged_of_very_many);
	tcase_add_test(tcase, mixed_with_an_eventfd);
	tcase_add_test(tcase, as_many_as_are_taken);
	tcase_add_test(tcase, deadlines_are_passed_on);
	tcase_add_test(tcase, pending_imports_are_capped);
	tcase_add_test(tcase, client_out_of_fds);
	tcase_add_test(tcase, late_export);
}

int main(void)
{
	return lab_main("import", NULL, add);
}
