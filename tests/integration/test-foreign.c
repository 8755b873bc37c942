// SPDX-License-Identifier: MIT
/* Errnos of others that the library uses itself: they come out of every call as -EREMOTEIO, and the infos keep them. */
#include <errno.h>
#include <linux/videodev2.h>
#include <pthread.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "fence-v4l2.h"
#include "lib-stage.h"

#define POINT   4
#define UNHEARD 1 /* no result yet */

static const int errors[] = { -EAGAIN, -ETIMEDOUT, -ENOTCONN, -EBADF, -EALREADY, -ECANCELED };

#define ERRORS (sizeof(errors) / sizeof(errors[0]))

static void setup(void)
{
	stage_open(WAY_NATIVE, NULL);
}

static void teardown(void)
{
	stage_close();
}

static void hear(void *arg, struct fbk_point point, int result)
{
	(void)point;
	*(int *)arg = result;
}

static void await(struct fbk_context *context, const int *result)
{
	while (*result == UNHEARD) {
		ck_assert_int_ge(loop_turn(context), 0);
	}
}

/* ------------------------------------------------------------------------------------ timelines -- */

struct sleeper {
	pthread_t thread;
	struct fbk_point point;
	int result;
};

static void *sleep_on(void *arg)
{
	struct sleeper *sleeper = arg;
	sleeper->result = fbk_point_wait(sleeper->point, deadline_ms(PATIENCE_MS));
	return NULL;
}

static void expect_asked(struct fbk_timeline *timeline)
{
	struct fbk_point reached = { timeline, POINT - 1 }, failed = { timeline, POINT };
	struct fbk_point both[] = { failed, failed };
	uint64_t word = 0;
	size_t index;
	ck_assert_int_eq(fbk_point_check(reached), 0);
	ck_assert_int_eq(fbk_point_check(failed), -EREMOTEIO);
	ck_assert_int_eq(fbk_point_wait(failed, deadline_ms(PATIENCE_MS)), -EREMOTEIO);
	ck_assert_int_eq(fbk_point_wait(failed, 0), -EREMOTEIO);
	ck_assert_int_eq(fbk_point_wait_any(both, 2, 0, &index), -EREMOTEIO);
	ck_assert_int_eq(fbk_point_wait_all(both, 2, 0, &index), -EREMOTEIO);
	ck_assert_int_eq(fbk_point_flush(failed, &word, sizeof(word)), -EREMOTEIO);
}

static void expect_watched(struct fbk_timeline *timeline)
{
	struct fbk_point failed = { timeline, POINT };
	struct v4l2_buffer buffer = { .type = V4L2_BUF_TYPE_VIDEO_CAPTURE };
	int watched = UNHEARD, opened = UNHEARD;
	EXPECT(fbk_point_watch(failed, FBK_DEADLINE_MAX, hear, &watched, NULL) == 0);
	EXPECT(fbk_gate_v4l2_queue(failed, FBK_DEADLINE_MAX, -1, &buffer, hear, &opened, NULL) ==
	       0);
	await(producer.context, &watched);
	await(producer.context, &opened);
	ck_assert_int_eq(watched, -EREMOTEIO);
	ck_assert_int_eq(opened, -EREMOTEIO);
}

static void expect_exported(struct fbk_timeline *timeline)
{
	struct fbk_point failed = { timeline, POINT };
	int fd;
	EXPECT(fbk_point_export(failed, FBK_FENCE_EVENTFD, FBK_DEADLINE_MAX, &fd) == 0);
	EXPECT(readable_within(fd, PATIENCE_MS));
	close(fd);
	int r = fbk_point_export(failed, FBK_FENCE_SYNC_FILE, FBK_DEADLINE_MAX, &fd);
	ck_assert(r == -EREMOTEIO || r == -EOPNOTSUPP);
}

static void expect_info(struct fbk_timeline *timeline, int error)
{
	struct fbk_timeline_info info = { .struct_size = sizeof(info) };
	EXPECT(fbk_timeline_info(timeline, &info) == 0);
	ck_assert_int_eq(info.error, error);
	ck_assert_int_eq(info.cause, FBK_CAUSE_OWNER_FAILED);
	ck_assert_uint_eq(info.failed_from, POINT);
}

/* _i: the errno, and whether the daemon signals it. */
START_TEST(owner_fails)
{
	int error = errors[(size_t)_i / 2];
	uint32_t flags = _i % 2 ? FBK_TIMELINE_BROKERED : 0;
	struct fbk_context *owner = peer_connect(&server);
	struct fbk_timeline *line = peer_timeline(peer_device(owner, "owner"), "line", flags);
	struct fbk_timeline *seen = peer_open(producer.context, line, FBK_RIGHT_WAIT);
	struct sleeper sleeper = { .point = { seen, POINT } };
	int watched = UNHEARD;
	EXPECT(pthread_create(&sleeper.thread, NULL, sleep_on, &sleeper) == 0);
	EXPECT(fbk_point_watch(sleeper.point, FBK_DEADLINE_MAX, hear, &watched, NULL) == 0);
	EXPECT(fbk_timeline_signal(line, POINT - 1) == 0);
	EXPECT(fbk_timeline_fail(line, error, "the lens cap is on") == 0);

	EXPECT(pthread_join(sleeper.thread, NULL) == 0);
	ck_assert_int_eq(sleeper.result, -EREMOTEIO);
	await(producer.context, &watched);
	ck_assert_int_eq(watched, -EREMOTEIO);
	expect_asked(seen);
	expect_watched(seen);
	expect_exported(seen);
	expect_info(seen, error);
	ck_assert_int_eq(fbk_timeline_signal(line, POINT), -EREMOTEIO);
	fbk_disconnect(owner);
}
END_TEST

/* What points of a timeline that failed can't do any more. */
START_TEST(requests_of_a_failed_one)
{
	struct fbk_timeline *brokered =
		peer_timeline(producer.device, "brokered", FBK_TIMELINE_BROKERED);
	struct fbk_timeline *other = peer_timeline(producer.device, "other", 0);
	struct fbk_point failed = { brokered, 1 }, open = { other, 1 };
	EXPECT(fbk_timeline_fail(brokered, errors[_i], NULL) == 0);
	int fence = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ck_assert_int_eq(fbk_point_signal_on(failed, fence), -EREMOTEIO);
	ck_assert_int_eq(fbk_point_depends(open, failed), -EREMOTEIO);
	ck_assert_int_eq(fbk_point_depends(failed, open), -EREMOTEIO);
}
END_TEST

/* Waits end though the daemon is gone as well, and the page says why. */
START_TEST(without_a_daemon)
{
	struct fbk_timeline_info info = { .struct_size = sizeof(info) };
	struct daemon mortal;
	daemon_serve(&mortal, NULL);
	struct fbk_context *context = peer_connect(&mortal);
	struct fbk_device *device = peer_device(context, "owner");
	struct fbk_timeline *line = peer_timeline(device, "line", 0);
	struct fbk_timeline *lives = peer_timeline(device, "lives", 0);
	EXPECT(fbk_timeline_fail(line, errors[_i], NULL) == 0);
	daemon_kill(&mortal);
	ck_assert_int_eq(fbk_point_wait((struct fbk_point){ line, 1 }, FBK_DEADLINE_MAX),
			 -EREMOTEIO);
	ck_assert_int_eq(fbk_point_wait((struct fbk_point){ lives, 1 }, FBK_DEADLINE_MAX),
			 -ENOTCONN);
	EXPECT(fbk_timeline_info(line, &info) == 0);
	ck_assert_int_eq(info.error, errors[_i]);
	fbk_disconnect(context);
	daemon_remove(&mortal);
}
END_TEST

/* --------------------------------------------------------------------------------------- frames -- */

static void released(void *arg, int result)
{
	*(int *)arg = result;
}

/* Buffer 0, by that acquire point. */
static void hand_to(struct fbk_point acquire, int *result)
{
	*result = UNHEARD;
	int r = fbk_exchange_hand(producer.exchange, 0, acquire, FBK_DEADLINE_MAX, NULL, released,
				  result);
	ck_assert_msg(r == 1, "handing over: %d, %s", r, fbk_error_detail());
}

/* _i: the errno, and whether it is a mailbox. */
START_TEST(acquire_fails)
{
	struct local local;
	struct fbk_timeline *line = peer_timeline(producer.device, "line", 0);
	struct fbk_point acquire = { line, 1 };
	int result;
	local_open(&local, _i % 2 ? FBK_DELIVERY_MAILBOX : FBK_DELIVERY_FIFO, 1);
	hand_to(acquire, &result);
	EXPECT(fbk_timeline_fail(line, errors[_i / 2], NULL) == 0);
	struct fbk_frame *frame = local_next(&local);
	ck_assert_int_eq(fbk_frame_error(frame), -EREMOTEIO);
	ck_assert_int_eq(fbk_point_wait(fbk_frame_acquire(frame), deadline_ms(PATIENCE_MS)),
			 -EREMOTEIO);
	ck_assert_int_eq(frame_release(frame, 0), 0);
	await(producer.context, &result);
	ck_assert_int_eq(result, -EREMOTEIO);
	local_close(&local);
}
END_TEST

START_TEST(release_with_it)
{
	struct local local;
	int result;
	local_open(&local, FBK_DELIVERY_FIFO, 1);
	hand_to(FBK_POINT_SIGNALLED, &result);
	ck_assert_int_eq(frame_release(local_next(&local), errors[_i]), 0);
	await(producer.context, &result);
	ck_assert_int_eq(result, -EREMOTEIO);
	local_close(&local);
}
END_TEST

/* Its release point fails. */
START_TEST(release_fails)
{
	struct local local;
	struct fbk_point point;
	int result;
	local_open(&local, FBK_DELIVERY_FIFO, 1);
	hand_to(FBK_POINT_SIGNALLED, &result);
	ck_assert_int_eq(frame_release_later(local_next(&local), &point), 0);
	EXPECT(fbk_timeline_fail(point.timeline, errors[_i], NULL) == 0);
	await(producer.context, &result);
	ck_assert_int_eq(result, -EREMOTEIO);
	local_close(&local);
}
END_TEST

START_TEST(given_up)
{
	struct local local;
	int result;
	local_open(&local, FBK_DELIVERY_FIFO, 1);
	hand_to(FBK_POINT_SIGNALLED, &result);
	fbk_frame_unref(local_next(&local));
	await(producer.context, &result);
	ck_assert_int_eq(result, -EREMOTEIO);
	local_close(&local);
}
END_TEST

START_TEST(link_fails)
{
	struct fbk_link_info info = { .struct_size = sizeof(info) };
	struct local local;
	int result;
	local_open(&local, FBK_DELIVERY_FIFO, 1);
	hand_to(FBK_POINT_SIGNALLED, &result);
	struct fbk_frame *frame = local_next(&local);
	EXPECT(fbk_link_fail(local.link, errors[_i], "no more") == 0);
	await(producer.context, &result);
	ck_assert_int_eq(result, -EREMOTEIO);
	EXPECT(fbk_link_info(producer.link, &info) == 0);
	ck_assert_int_eq(info.error, errors[_i]);
	ck_assert_int_eq(local_try(&local), -EPIPE);
	ck_assert_int_eq(frame_release(frame, 0), -ESTALE);
	local_close(&local);
}
END_TEST

static int refuse(void *arg, struct fbk_link *link, uint32_t index,
		  const struct fbk_buffer_desc *buffer)
{
	(void)link;
	return index == 0 && buffer ? *(const int *)arg : 0;
}

/* It was on its way when the consumer refused it. */
START_TEST(buffer_is_refused)
{
	struct local local;
	int error = errors[_i], result;
	local_open(&local, FBK_DELIVERY_FIFO, 1);
	hand_to(FBK_POINT_SIGNALLED, &result);
	ck_assert_int_eq(fbk_link_import(local.link, refuse, &error), 0);
	ck_assert_int_eq(local_try(&local), -ETIMEDOUT);
	await(producer.context, &result);
	ck_assert_int_eq(result, -EREMOTEIO);
	ck_assert_int_eq(hand_at(0, FBK_POINT_SIGNALLED), -ENOTSUP);
	local_close(&local);
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, owner_fails, 0, 2 * ERRORS);
	tcase_add_loop_test(tcase, requests_of_a_failed_one, 0, ERRORS);
	tcase_add_loop_test(tcase, without_a_daemon, 0, ERRORS);
	tcase_add_loop_test(tcase, acquire_fails, 0, 2 * ERRORS);
	tcase_add_loop_test(tcase, release_with_it, 0, ERRORS);
	tcase_add_loop_test(tcase, release_fails, 0, ERRORS);
	tcase_add_test(tcase, given_up);
	tcase_add_loop_test(tcase, link_fails, 0, ERRORS);
	tcase_add_loop_test(tcase, buffer_is_refused, 0, ERRORS);
}

int main(void)
{
	return suite_main("foreign", add);
}
