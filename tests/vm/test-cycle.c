// SPDX-License-Identifier: MIT
/* Fences of the daemon that come back through the kernel: if it recognises them it refuses a cycle;
 * merged ones it cannot recognise, and the deadline ends the cycle. */
#include "lib-lab.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "../integration/lib-wire.h"

static struct lab lab;
static struct fbk_timeline *follows;        /* the waiter's, brokered */
static struct fbk_timeline *follows_opened; /* the same, opened by the signaler */

static void setup(void)
{
	lab_open(&lab, lab_policy(60000));
	follows = peer_timeline(lab.imports, "follows", FBK_TIMELINE_BROKERED);
	follows_opened = peer_open(lab.signaler, follows, FBK_RIGHT_WAIT);
}

static void teardown(void)
{
	lab_close(&lab);
}

static uint64_t usage(const char *resource)
{
	static struct client client;
	client_open(&client, &lab.daemon);
	uint64_t used = client_usage(&client, getuid(), resource);
	client_close(&client);
	return used;
}

static struct fbk_point following(uint64_t value)
{
	return (struct fbk_point){ follows, value };
}

static void await_usage(const char *resource, uint64_t amount)
{
	uint64_t give_up = now_ms() + PATIENCE_MS;
	while (usage(resource) != amount) {
		EXPECT(now_ms() < give_up);
		yield_briefly();
	}
}

/* The refusal comes through the timeline. */
static void expect_cycle(const char *sentence)
{
	struct fbk_timeline_info info = { .struct_size = sizeof(info) };
	ck_assert_int_eq(fbk_point_wait(following(FBK_POINT_MAX), deadline_ms(PATIENCE_MS)),
			 -EDEADLK);
	ck_assert_int_eq(fbk_timeline_info(follows, &info), 0);
	ck_assert_msg(strstr(info.reason, sentence), "%s", info.reason);
}

static int depends(uint64_t value, uint64_t on)
{
	return fbk_point_depends((struct fbk_point){ lab.timeline, value },
				 (struct fbk_point){ follows_opened, on });
}

static int promise(uint64_t value)
{
	int fd = -1;
	int r = fbk_point_promise(lab_point(&lab, value), &fd);
	ck_assert_msg(r == 0, "fbk_point_promise: %s", fbk_error_detail());
	return fd;
}

START_TEST(promise_that_comes_back)
{
	int fd = promise(3);
	ck_assert_int_eq(fbk_point_signal_on(following(2), fcntl(fd, F_DUPFD_CLOEXEC, 0)), 0);
	await_usage("dependencies", 1);
	ck_assert_int_eq(depends(3, 2), -EDEADLK);
	ck_assert_str_eq(fbk_error_detail(), "line.3 waits for follows.2, which waits for line.3");
	ck_assert_int_eq(depends(4, 2), 0);
	ck_assert_int_eq(fbk_timeline_signal(lab.timeline, 3), 0);
	ck_assert_int_eq(fbk_point_wait(following(2), deadline_ms(PATIENCE_MS)), 0);
	ck_assert_int_eq(depends(4, 3), 0);
	ck_assert_uint_eq(usage("dependencies"), 1);
	ck_assert_uint_eq(usage("promises"), 0);
	close(fd);
}
END_TEST

/* The wait is declared first: then the import is refused. */
START_TEST(promise_refused)
{
	int fd = promise(1);
	ck_assert_int_eq(depends(1, 1), 0);
	ck_assert_int_eq(fbk_point_signal_on(following(1), fd), 0);
	expect_cycle("follows.1 waits for line.1, which waits for follows.1");
	ck_assert_uint_eq(usage("imports"), 0);
	ck_assert_int_eq(fbk_timeline_signal(lab.timeline, 1), 0);
}
END_TEST

/* A merge makes another file. The deadline of the promise comes first in that cycle. */
START_TEST(merged_is_not_known)
{
	struct fbk_timeline_info info = { .struct_size = sizeof(info) };
	int first = promise(1), second = promise(2);
	int merged = sync_file_merge(first, second);
	ck_assert_int_eq(fbk_point_signal_on(following(1), merged), 0);
	await_usage("imports", 1);
	ck_assert_uint_eq(usage("dependencies"), 0);
	ck_assert_int_eq(depends(1, 1), 0);
	ck_assert_int_eq(fbk_point_wait(lab_point(&lab, 1), deadline_ms(PATIENCE_MS)), -ETIME);
	ck_assert_int_eq(fbk_timeline_info(lab.opened, &info), 0);
	ck_assert_int_eq(info.cause, FBK_CAUSE_DEADLINE);
	ck_assert_int_eq(fbk_point_wait(following(1), deadline_ms(PATIENCE_MS)), 0);
	ck_assert_uint_eq(usage("dependencies"), 0);
	ck_assert_uint_eq(usage("imports"), 0);
	close(first);
	close(second);
}
END_TEST

START_TEST(syncobj_that_comes_back)
{
	int fd = -1;
	const char *why;
	if (!fbk_feature(lab.waiter, FBK_FEATURE_MIRRORS, &why)) {
		return; /* a kernel without: no export there */
	}
	ck_assert_int_eq(fbk_point_export(lab_point(&lab, 5), FBK_FENCE_SYNCOBJ_TIMELINE,
					  deadline_ms(PATIENCE_MS), &fd),
			 0);
	ck_assert_int_eq(depends(5, 2), 0);
	if (_i == 0) { /* a higher one never would signal it */
		ck_assert_int_eq(fbk_point_signal_on_syncobj(following(2), fd, 6), 0);
		ck_assert_int_eq(fbk_point_signal_on_syncobj(following(3), fd, 5), 0);
		await_usage("dependencies", 2);
	} else { /* a lower point of the same timeline signals it, too */
		ck_assert_int_eq(fbk_point_signal_on_syncobj(following(2), fd, 6 - (uint64_t)_i),
				 0);
		expect_cycle("follows.2 waits for line.5, which waits for follows.2");
	}
	ck_assert_int_eq(fbk_timeline_signal(lab.timeline, 5), 0);
	close(fd);
}
END_TEST

/* The kernel reads a broken promise as success; who follows it here does not. */
START_TEST(promise_broken)
{
	int fd = promise(1);
	ck_assert_int_eq(fbk_point_signal_on(following(1), fd), 0);
	ck_assert_int_eq(fbk_point_wait(following(1), deadline_ms(PATIENCE_MS)), -ETIME);
}
END_TEST

/* Nor one that reads a syncobj set to "failed" when its export expired: the point may come yet. */
START_TEST(syncobj_expired)
{
	int fd = -1;
	const char *why;
	if (!fbk_feature(lab.waiter, FBK_FEATURE_MIRRORS, &why)) {
		return; /* a kernel without: no export there */
	}
	ck_assert_int_eq(fbk_point_export(lab_point(&lab, 5), FBK_FENCE_SYNCOBJ_TIMELINE,
					  deadline_ms(50), &fd),
			 0);
	ck_assert_int_eq(fbk_point_signal_on_syncobj(following(1), fd, 5), 0);
	await_usage("exports", 0);
	ck_assert_int_eq(fbk_point_wait(following(1), deadline_ms(100)), -ETIMEDOUT);
	ck_assert_int_eq(fbk_timeline_signal(lab.timeline, 5), 0);
	ck_assert_int_eq(fbk_point_wait(following(1), deadline_ms(PATIENCE_MS)), 0);
	close(fd);
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, promise_that_comes_back);
	tcase_add_test(tcase, promise_refused);
	tcase_add_test(tcase, merged_is_not_known);
	tcase_add_loop_test(tcase, syncobj_that_comes_back, 0, 3);
	tcase_add_test(tcase, promise_broken);
	tcase_add_test(tcase, syncobj_expired);
}

int main(void)
{
	return lab_main("cycle", "vgem", add);
}
