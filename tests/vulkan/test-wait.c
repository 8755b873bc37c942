// SPDX-License-Identifier: MIT
/* A queue waits for points of others, by a semaphore that the library drives. */
#include <errno.h>
#include <string.h>

#include "lib-gpu.h"

static struct daemon server;
static struct gpu gpu;
static struct engine engine;
static struct fbk_context *context, *other;
static struct fbk_timeline *theirs, *seen; /* one, as its signaler and as our process sees it */
static struct fbk_vk_wait *wait;
static int told;
static int told_result;

static void setup(void)
{
	daemon_serve(&server, NULL);
	gpu_open_fake(&gpu);
	context = peer_connect(&server);
	other = peer_connect(&server);
	engine_open(&engine, &gpu, context, FBK_VK_WAY_BEST);
	theirs = peer_timeline(peer_device(other, "cpu0"), "theirs", 0);
	seen = peer_open(context, theirs, FBK_RIGHT_WAIT);
	ck_assert_int_eq(fbk_vk_wait_create(gpu.vk, seen, &wait), 0);
}

static void teardown(void)
{
	fbk_vk_wait_cancel(wait); /* so that what still waits can end */
	gpu_idle(&gpu);
	fbk_vk_wait_destroy(wait);
	engine_close(&engine);
	gpu_close(&gpu);
	fbk_disconnect(other);
	fbk_disconnect(context);
	daemon_stop(&server);
}

static void on_point(void *arg, struct fbk_point point, int result)
{
	ck_assert_ptr_eq(arg, &told);
	ck_assert_ptr_eq(point.timeline, seen);
	told++;
	told_result = result;
}

static void arm(uint64_t value, uint64_t deadline_ns)
{
	int r = fbk_vk_wait_arm(wait, value, deadline_ns, on_point, &told);
	ck_assert_msg(r == 0, "fbk_vk_wait_arm: %s", fbk_vk_error_detail());
}

/* Until so many were told. */
static void dispatch_until(int count)
{
	uint64_t deadline = now_ms() + PATIENCE_MS;
	while (told < count) {
		EXPECT(now_ms() < deadline);
		readable_within(fbk_context_fd(context), 100);
		EXPECT(fbk_dispatch(context) >= 0);
	}
}

/* Work of ours, which signals `value`, behind their point. */
static void submit(uint64_t value, uint64_t behind)
{
	VkCommandBuffer commands = gpu_begin(&gpu);
	EXPECT(fbk_vk_signal_record(engine.signal, commands, value) == 0);
	gpu_submit(&gpu, commands, fbk_vk_wait_semaphore(wait), behind);
}

static void expect_done(uint64_t value)
{
	struct fbk_point point = { engine.timeline, value };
	EXPECT(fbk_point_wait(point, deadline_ms(PATIENCE_MS)) == 0);
}

START_TEST(queue_waits)
{
	submit(1, 5);
	arm(5, FBK_DEADLINE_MAX);
	ck_assert_int_eq(fbk_timeline_signal(theirs, 4), 0);
	fbk_dispatch(context);
	ck_assert_uint_eq(engine_word(&engine), 0);
	ck_assert_int_eq(fbk_timeline_signal(theirs, 5), 0);
	dispatch_until(1);
	ck_assert_int_eq(told_result, 0);
	expect_done(1);
}
END_TEST

/* There and back again: a CPU and a device, each behind the other. */
START_TEST(back_and_forth)
{
	const uint64_t rounds = 500;
	for (uint64_t round = 1; round <= rounds; round++) {
		EXPECT(fbk_vk_wait_arm(wait, round, FBK_DEADLINE_MAX, on_point, &told) == 0);
		submit(round, round);
		EXPECT(fbk_timeline_value(engine.timeline) == round - 1);
		EXPECT(fbk_timeline_signal(theirs, round) == 0);
		dispatch_until((int)round);
		expect_done(round);
	}
}
END_TEST

/* What was decided before needs no dispatch to be signalled; who asked is told all the same. */
START_TEST(reached_already)
{
	ck_assert_int_eq(fbk_timeline_signal(theirs, 9), 0);
	submit(1, 9);
	arm(9, 0);
	ck_assert_uint_eq(gpu_semaphore_value(&gpu, fbk_vk_wait_semaphore(wait)), 9);
	expect_done(1);
	dispatch_until(1);
	ck_assert_int_eq(told_result, 0);
	arm(3, 0);
	dispatch_until(2);
	ck_assert_int_eq(told_result, 0);
	ck_assert_uint_eq(gpu_semaphore_value(&gpu, fbk_vk_wait_semaphore(wait)), 9);
}
END_TEST

START_TEST(follows_from_where_it_is)
{
	struct fbk_vk_wait *late;
	ck_assert_int_eq(fbk_timeline_signal(theirs, 7), 0);
	ck_assert_int_eq(fbk_vk_wait_create(gpu.vk, seen, &late), 0);
	ck_assert_uint_eq(gpu_semaphore_value(&gpu, fbk_vk_wait_semaphore(late)), 7);
	fbk_vk_wait_destroy(late);
}
END_TEST

/* One signal decides several. */
START_TEST(several)
{
	arm(5, FBK_DEADLINE_MAX);
	arm(3, FBK_DEADLINE_MAX);
	arm(4, FBK_DEADLINE_MAX);
	submit(1, 4);
	ck_assert_int_eq(fbk_timeline_signal(theirs, 5), 0);
	dispatch_until(3);
	ck_assert_uint_eq(gpu_semaphore_value(&gpu, fbk_vk_wait_semaphore(wait)), 5);
	expect_done(1);
}
END_TEST

/* A device whose queue waits for ever is a hung one. */
START_TEST(goes_on_when_it_failed)
{
	submit(1, 5);
	arm(5, FBK_DEADLINE_MAX);
	ck_assert_int_eq(fbk_timeline_fail(theirs, -EIO, "no such luck"), 0);
	dispatch_until(1);
	ck_assert_int_eq(told_result, -EIO);
	expect_done(1);
	arm(6, FBK_DEADLINE_MAX);
	submit(2, 6);
	dispatch_until(2);
	ck_assert_int_eq(told_result, -EIO);
	expect_done(2);
}
END_TEST

START_TEST(goes_on_when_it_is_late)
{
	submit(1, 5);
	arm(5, deadline_ms(50));
	dispatch_until(1);
	ck_assert_int_eq(told_result, -ETIMEDOUT);
	expect_done(1);
	ck_assert_int_eq(fbk_timeline_signal(theirs, 5), 0); /* too late, and no harm */
	arm(6, FBK_DEADLINE_MAX);
	submit(2, 6);
	ck_assert_int_eq(fbk_timeline_signal(theirs, 6), 0);
	dispatch_until(2);
	ck_assert_int_eq(told_result, 0);
	expect_done(2);
}
END_TEST

START_TEST(goes_on_when_it_is_cancelled)
{
	submit(1, 5);
	arm(6, FBK_DEADLINE_MAX);
	arm(5, FBK_DEADLINE_MAX);
	fbk_vk_wait_cancel(wait);
	gpu_idle(&gpu);
	expect_done(1);
	ck_assert_int_eq(fbk_timeline_signal(theirs, 6), 0);
	fbk_dispatch(context);
	ck_assert_int_eq(told, 0);
}
END_TEST

START_TEST(goes_on_when_the_daemon_dies)
{
	submit(1, 5);
	arm(5, FBK_DEADLINE_MAX);
	daemon_kill(&server);
	uint64_t deadline = now_ms() + PATIENCE_MS;
	while (told == 0) {
		ck_assert_uint_lt(now_ms(), deadline);
		readable_within(fbk_context_fd(context), 100);
		fbk_dispatch(context);
	}
	ck_assert_int_eq(told_result, -ENOTCONN);
	gpu_idle(&gpu);
	ck_assert_uint_eq(engine_word(&engine), 1);
	fbk_vk_wait_destroy(wait);
	engine_close(&engine);
	gpu_close(&gpu);
	fbk_disconnect(other);
	fbk_disconnect(context);
	daemon_remove(&server);
}
END_TEST

START_TEST(values_refused)
{
	fake.difference_max = 100;
	setup();
	ck_assert_int_eq(fbk_vk_wait_arm(wait, 0, 0, NULL, NULL), -ERANGE);
	ck_assert_int_eq(fbk_vk_wait_arm(wait, FBK_POINT_MAX + 1, 0, NULL, NULL), -ERANGE);
	ck_assert_int_eq(fbk_vk_wait_arm(wait, 101, 0, NULL, NULL), -ERANGE);
	ck_assert_str_eq(fbk_vk_error_detail(), "101 is more than 100 ahead of 0");
	arm(100, FBK_DEADLINE_MAX);
	teardown();
}
END_TEST

START_TEST(without_timeline_semaphores)
{
	struct fbk_vk_wait *none = NULL;
	fake.no_timelines = true;
	daemon_serve(&server, NULL);
	gpu_open_fake(&gpu);
	context = peer_connect(&server);
	engine_open(&engine, &gpu, context, FBK_VK_WAY_BEST);
	ck_assert_int_eq(fbk_vk_wait_create(gpu.vk, engine.timeline, &none), -EOPNOTSUPP);
	ck_assert_ptr_nonnull(strstr(fbk_vk_error_detail(), "it lacks VK_KHR_timeline_semaphore"));
	ck_assert_ptr_null(none);
	engine_close(&engine);
	gpu_close(&gpu);
	fbk_disconnect(context);
	daemon_stop(&server);
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, queue_waits);
	tcase_add_test(tcase, back_and_forth);
	tcase_add_test(tcase, reached_already);
	tcase_add_test(tcase, follows_from_where_it_is);
	tcase_add_test(tcase, several);
	tcase_add_test(tcase, goes_on_when_it_failed);
	tcase_add_test(tcase, goes_on_when_it_is_late);
	tcase_add_test(tcase, goes_on_when_it_is_cancelled);
}

static void add_unlike(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, NULL, NULL);
	tcase_add_test(tcase, values_refused);
	tcase_add_test(tcase, without_timeline_semaphores);
}

static void add_dying(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, NULL);
	tcase_add_test(tcase, goes_on_when_the_daemon_dies);
}

int main(void)
{
	int alike = gpu_suite("wait", add);
	int unlike = gpu_suite("wait-refused", add_unlike);
	int dying = gpu_suite("wait-dying", add_dying);
	return alike ? alike : unlike ? unlike : dying;
}
