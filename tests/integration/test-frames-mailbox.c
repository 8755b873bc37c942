// SPDX-License-Identifier: MIT
/* Which frames a consumer gets: mailboxes, depth, pauses, and stops. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "lib-stage.h"

static void setup(void)
{
	stage_open(WAY_NATIVE, NULL);
}

static void setup_eventfd(void)
{
	stage_open(WAY_EVENTFD, NULL);
}

/* Three frames for each that is taken: it is the newest. */
START_TEST(mailbox)
{
	struct local local;
	uint64_t last = 0;
	local_open(&local, FBK_DELIVERY_MAILBOX, 1);
	for (unsigned int round = 0; round < count_of(10000, 100); round++) {
		for (int i = 0; i < 3; i++) {
			stage_frame(NULL);
		}
		struct fbk_frame *frame = local_expect(&local, producer.frame);
		ck_assert_uint_eq(fbk_frame_sequence(frame), last + 3);
		last = fbk_frame_sequence(frame);
		ck_assert_int_eq(local_try(&local), -ENOBUFS);
		ck_assert_int_eq(frame_release(frame, 0), 0);
		ck_assert_int_eq(local_try(&local), -ETIMEDOUT);
	}
	exchange_drain(producer.exchange, PRODUCER_BUFFERS);
	local_close(&local);
}
END_TEST

#define DRAWN_LATE 3

/* Each frame is drawn when the third one after it is handed over, so the newest is never drawn: the consumer gets each as
 * it is, and the producer never waits for a buffer. */
START_TEST(mailbox_of_frames_that_take_three)
{
	struct local local;
	stage_add(DRAWN_LATE + 3);
	local_open(&local, FBK_DELIVERY_MAILBOX, 1);
	uint32_t indices[DRAWN_LATE + 1];
	for (uint64_t number = 1; number <= count_of(10000, 100); number++) {
		uint32_t index = take();
		indices[number % (DRAWN_LATE + 1)] = index;
		ck_assert_int_eq(hand_at(index, (struct fbk_point){ producer.timeline, number }),
				 1);
		if (number <= DRAWN_LATE) {
			ck_assert_int_eq(local_try(&local), -ETIMEDOUT);
			continue;
		}
		uint64_t drawn = number - DRAWN_LATE;
		buffer_write(stage_buffer(indices[drawn % (DRAWN_LATE + 1)]), drawn);
		EXPECT(fbk_timeline_signal(producer.timeline, drawn) == 0);
		struct fbk_frame *frame = local_expect(&local, drawn);
		ck_assert_uint_eq(fbk_frame_sequence(frame), drawn);
		ck_assert_int_eq(frame_release(frame, 0), 0);
	}
	local_close(&local);
}
END_TEST

/* The newest is not drawn yet: the one before comes, and what is older still goes back. */
START_TEST(mailbox_of_slow_frames)
{
	struct local local;
	struct fbk_release releases[FBK_CONSUMERS_MAX + 1];
	struct fbk_frame *frame;
	uint32_t index;
	size_t count;
	local_open(&local, FBK_DELIVERY_MAILBOX, 1);
	for (uint64_t i = 1; i <= 3; i++) {
		ck_assert_int_eq(
			hand_at((uint32_t)i - 1, (struct fbk_point){ producer.timeline, i }), 1);
	}
	ck_assert_int_eq(local_try(&local), -ETIMEDOUT);
	ck_assert_int_eq(take_now(), -ETIMEDOUT);
	EXPECT(fbk_timeline_signal(producer.timeline, 2) == 0);
	frame = local_next(&local);
	ck_assert_uint_eq(fbk_frame_index(frame), 1);
	ck_assert_uint_eq(take(), 0);
	ck_assert_int_eq(take_now(), -ETIMEDOUT);
	/* One that is older than what is reached, but not drawn itself: retracted, and not free yet. */
	struct fbk_timeline *slow = peer_timeline(producer.device, "slow", 0);
	ck_assert_int_eq(hand_at(0, (struct fbk_point){ slow, 1 }), 1);
	EXPECT(fbk_timeline_signal(producer.timeline, 3) == 0);
	ck_assert_int_eq(frame_release(frame, 0), 0);
	ck_assert_uint_eq(take(), 1);
	ck_assert_int_eq(hand(1), 1);
	/* frames of 2 and 0 are older than 1, which is reached */
	ck_assert_uint_eq(take(), 2);
	ck_assert_int_eq(take_now(), -ETIMEDOUT);
	ck_assert_int_eq(
		fbk_exchange_take_early(producer.exchange, 0, &index, NULL, releases, &count), 0);
	ck_assert_uint_eq(index, 0);
	ck_assert_uint_eq(count, 1);
	ck_assert_ptr_null(releases[0].link);
	ck_assert_int_eq(fbk_point_check(releases[0].point), -EAGAIN);
	EXPECT(fbk_timeline_signal(slow, 1) == 0);
	ck_assert_int_eq(fbk_point_check(releases[0].point), 0);
	ck_assert_int_eq(frame_release(local_next(&local), 0), 0);
	local_close(&local);
}
END_TEST

/* -------------------------------------------------------------------------- pause, depth, stop --- */

/* A frame of the quick one, which loses none. */
static void quick_frame(struct local *quick, int links)
{
	static uint64_t sequence;
	struct fate fate;
	uint32_t index = take();
	ck_assert_int_eq(hand(index), links);
	struct fbk_frame *frame = local_next(quick);
	ck_assert_uint_eq(fbk_frame_index(frame), index);
	ck_assert_uint_eq(fbk_frame_sequence(frame), ++sequence);
	frame_release_by_way(frame, &fate);
	fate_decide(&fate, 0);
}

/* The other one stopped: it has one frame, and the rest go on without it. */
START_TEST(one_is_skipped)
{
	struct local quick, slow;
	struct fbk_link *second;
	int offer2;
	ck_assert_int_eq(link_offer(producer.device, FBK_ROLE_PRODUCER, &offer2, &second), 0);
	ck_assert_int_eq(fbk_exchange_attach(producer.exchange, second), 0);
	local_open(&quick, FBK_DELIVERY_FIFO, 1);
	local_open_at(&slow, offer2, second, FBK_DELIVERY_FIFO, 1);
	ck_assert_int_eq(fbk_exchange_set_depth(producer.exchange, second, 3, FBK_WHEN_FULL_SKIP),
			 -ENOBUFS);
	ck_assert_int_eq(fbk_exchange_set_depth(producer.exchange, second, 1, FBK_WHEN_FULL_SKIP),
			 0);
	for (unsigned int i = 0; i < count_of(10000, 100); i++) {
		quick_frame(&quick, i == 0 ? 2 : 1);
	}
	struct fbk_frame *frame = local_next(&slow);
	ck_assert_uint_eq(fbk_frame_sequence(frame), 1);
	ck_assert_uint_eq(fbk_frame_meta(frame)->flags & FBK_FRAME_DISCONT, 0);
	ck_assert_int_eq(frame_release(frame, 0), 0);
	for (uint64_t i = 0; i < 2; i++) {
		quick_frame(&quick, 2);
		frame = local_next(&slow);
		ck_assert_uint_eq(fbk_frame_sequence(frame), 2 + i);
		ck_assert_uint_eq(fbk_frame_meta(frame)->flags & FBK_FRAME_DISCONT,
				  i == 0 ? FBK_FRAME_DISCONT : 0);
		ck_assert_int_eq(frame_release(frame, 0), 0);
	}
	local_close(&slow);
	local_close(&quick);
	fbk_link_close(second);
	close(offer2);
}
END_TEST

START_TEST(depth_is_waited_for)
{
	struct local local;
	local_open(&local, FBK_DELIVERY_FIFO, 2);
	ck_assert_int_eq(
		fbk_exchange_set_depth(producer.exchange, producer.link, 1, FBK_WHEN_FULL_WAIT), 0);
	ck_assert_int_eq(hand(take()), 1);
	ck_assert_int_eq(take_now(), -ETIMEDOUT); /* two are free, and it is full */
	struct fbk_frame *frame = local_next(&local);
	ck_assert_int_eq(hand(take()), 1);
	ck_assert_int_eq(take_now(), -ETIMEDOUT);
	ck_assert_int_eq(frame_release(local_next(&local), 0), 0);
	ck_assert_int_eq(frame_release(frame, 0), 0);
	exchange_drain(producer.exchange, PRODUCER_BUFFERS);
	local_close(&local);
}
END_TEST

START_TEST(paused)
{
	struct fbk_link_info info = { .struct_size = sizeof(info) };
	struct local local;
	local_open(&local, FBK_DELIVERY_FIFO, 3);
	ck_assert_int_eq(fbk_link_pause(producer.link, true), -EPERM);
	ck_assert_int_eq(hand(take()), 1);
	struct fbk_frame *held = local_next(&local);
	ck_assert_int_eq(hand(take()), 1);
	ck_assert_int_eq(fbk_link_pause(local.link, true), 0);
	EXPECT(fbk_link_info(producer.link, &info) == 0);
	ck_assert(info.paused);
	ck_assert_uint_eq(info.hold, 3);
	ck_assert_int_eq(local_try(&local), -ETIMEDOUT);
	/* What was offered is back; what is held is not. */
	uint32_t index = take();
	ck_assert_int_eq(hand(index), 0);
	take();
	ck_assert_int_eq(take_now(), -ETIMEDOUT);
	ck_assert_int_eq(fbk_link_pause(local.link, false), 0);
	ck_assert_int_eq(hand(index), 1);
	struct fbk_frame *frame = local_next(&local);
	ck_assert_uint_eq(fbk_frame_meta(frame)->flags & FBK_FRAME_DISCONT, FBK_FRAME_DISCONT);
	ck_assert_int_eq(frame_release(frame, 0), 0);
	ck_assert_int_eq(frame_release(held, 0), 0);
	local_close(&local);
}
END_TEST

/* By the consumer, and by the producer. */
START_TEST(stopped)
{
	struct fbk_link_info info = { .struct_size = sizeof(info) };
	struct fbk_frame *frames[2], *none;
	struct local local;
	local_open(&local, FBK_DELIVERY_FIFO, 2);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(hand(take()), 1);
		frames[i] = local_next(&local);
	}
	struct fbk_link *stops = _i ? producer.link : local.link;
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(fbk_link_stop(stops), 0);
		ck_assert_int_eq(_i ? hand(2) : fbk_link_next(local.link, 0, &none), -EPIPE);
		EXPECT(fbk_link_info(stops, &info) == 0);
		ck_assert_int_eq(info.phase, FBK_PHASE_ESTABLISHED);
		ck_assert_int_eq(frame_release(frames[i], 0), 0);
	}
	exchange_drain(producer.exchange, PRODUCER_BUFFERS);
	EXPECT(fbk_link_info(stops, &info) == 0);
	ck_assert_int_eq(info.phase, FBK_PHASE_ENDED);
	EXPECT(fbk_link_info(_i ? local.link : producer.link, &info) == 0);
	ck_assert_int_eq(info.phase, _i ? FBK_PHASE_ENDED : FBK_PHASE_OFFERED);
	ck_assert_int_eq(fbk_link_next(local.link, deadline_ms(PATIENCE_MS), &none), -EPIPE);
	local_close(&local);
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_test(tcase, mailbox);
	tcase_add_test(tcase, mailbox_of_frames_that_take_three);
	tcase_add_test(tcase, mailbox_of_slow_frames);
	tcase_add_test(tcase, one_is_skipped);
	tcase_add_test(tcase, depth_is_waited_for);
	tcase_add_test(tcase, paused);
	tcase_add_loop_test(tcase, stopped, 0, 2);
}

static void add_native(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, stage_close);
	add(tcase);
}

static void add_eventfd(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup_eventfd, stage_close);
	add(tcase);
}

int main(void)
{
	int failed = suite_main("frames that a consumer gets", add_native);
	return failed | suite_main("frames that a consumer gets, by eventfd", add_eventfd);
}
