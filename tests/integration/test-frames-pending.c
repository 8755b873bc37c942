// SPDX-License-Identifier: MIT
/* Frames whose points are undecided, or failed, when others are, or when their link ends. */
#include <errno.h>
#include <unistd.h>

#include "lib-exchange.h"

static struct daemon server;
static struct producer producer;
static int offer;

/* In this process, with a context of its own. */
static struct consumer consumer;

static void setup(void)
{
	daemon_serve(&server, NULL);
	producer_open(&producer, &server, FBK_FENCE_MEMORY64, FBK_FENCE_MEMORY64, &offer);
}

static void teardown(void)
{
	fbk_link_close(consumer.link);
	fbk_disconnect(consumer.context);
	close(offer);
	producer_close(&producer);
	daemon_stop(&server);
}

static void join(enum fbk_delivery delivery)
{
	consumer.context = peer_connect(&server);
	consumer.device = exchange_device(consumer.context, "consumer", FBK_FENCE_MEMORY64,
					  FBK_FENCE_MEMORY64);
	int r = link_accept_as(consumer.device, offer, delivery, 3, &consumer.link);
	ck_assert_msg(r == 0, "accepting: %s", fbk_error_detail());
	EXPECT(fbk_link_wait(producer.link, deadline_ms(PATIENCE_MS)) == 0);
}

static void hand(uint32_t index, struct fbk_timeline *timeline)
{
	struct fbk_point acquire = { timeline, 1 };
	int r = fbk_exchange_hand(producer.exchange, index, acquire, deadline_ms(PATIENCE_MS), NULL,
				  NULL, NULL);
	ck_assert_msg(r == 1, "handing over: %d, %s", r, fbk_error_detail());
}

/* The buffer, or the error. */
static int take_now(void)
{
	uint32_t index;
	int r = fbk_exchange_take(producer.exchange, 0, &index, NULL);
	return r < 0 ? r : (int)index;
}

/* Of which buffer, or the error of the call, or of the frame. It is released. */
static int next_now(void)
{
	struct fbk_frame *frame;
	int r = fbk_link_next(consumer.link, 0, &frame);
	if (r < 0) {
		return r;
	}
	r = fbk_frame_error(frame);
	int index = (int)fbk_frame_index(frame);
	ck_assert_int_eq(frame_release(frame, 0), 0);
	return r < 0 ? r : index;
}

static struct fbk_timeline *drawn(const char *name)
{
	return peer_timeline(producer.device, name, 0);
}

/* The newest failed: the one before is the newest that is reached. */
START_TEST(failed_after_a_reached_one)
{
	join(FBK_DELIVERY_MAILBOX);
	struct fbk_timeline *lines[2] = { drawn("first"), drawn("second") };
	hand(0, lines[0]);
	hand(1, lines[1]);
	EXPECT(fbk_timeline_signal(lines[0], 1) == 0);
	EXPECT(fbk_timeline_fail(lines[1], -EIO, "no picture") == 0);
	ck_assert_int_eq(take_now(), 2);
	ck_assert_int_eq(take_now(), -ETIMEDOUT);
	ck_assert_int_eq(next_now(), 0);
	ck_assert_int_eq(take_now(), 0);
	ck_assert_int_eq(next_now(), -EIO);
	ck_assert_int_eq(take_now(), 1);
	ck_assert_int_eq(next_now(), -ETIMEDOUT);
}
END_TEST

/* The newest failed, and the one before is not drawn yet: it comes when it is. */
START_TEST(failed_after_a_pending_one)
{
	join(FBK_DELIVERY_MAILBOX);
	struct fbk_timeline *lines[2] = { drawn("first"), drawn("second") };
	hand(0, lines[0]);
	hand(1, lines[1]);
	EXPECT(fbk_timeline_fail(lines[1], -EIO, "no picture") == 0);
	ck_assert_int_eq(take_now(), 2);
	ck_assert_int_eq(take_now(), -ETIMEDOUT);
	ck_assert_int_eq(next_now(), -ETIMEDOUT);
	EXPECT(fbk_timeline_signal(lines[0], 1) == 0);
	ck_assert_int_eq(take_now(), -ETIMEDOUT);
	ck_assert_int_eq(next_now(), 0);
	ck_assert_int_eq(next_now(), -EIO);
}
END_TEST

/* The oldest failed: it comes, and the one behind it is waited for. */
START_TEST(failed_before_a_pending_one)
{
	join(FBK_DELIVERY_MAILBOX);
	struct fbk_timeline *lines[2] = { drawn("first"), drawn("second") };
	hand(0, lines[0]);
	hand(1, lines[1]);
	EXPECT(fbk_timeline_fail(lines[0], -EIO, "no picture") == 0);
	ck_assert_int_eq(next_now(), -EIO);
	ck_assert_int_eq(next_now(), -ETIMEDOUT);
	EXPECT(fbk_timeline_signal(lines[1], 1) == 0);
	ck_assert_int_eq(next_now(), 1);
}
END_TEST

static enum fbk_link_phase phase(struct fbk_link *link)
{
	struct fbk_link_info info = { .struct_size = sizeof(info) };
	ck_assert_int_eq(fbk_link_info(link, &info), 0);
	return info.phase;
}

static void heard(void *arg, struct fbk_link *link, enum fbk_link_phase ended)
{
	(void)link;
	*(bool *)arg |= ended == FBK_PHASE_ENDED;
}

/* Frames were released at points of their own, one of which is pending: stopping the link does not free that buffer. */
START_TEST(stopped_before_a_release_point)
{
	struct fbk_frame *frame;
	struct fbk_point points[2];
	bool ended = false;
	join(FBK_DELIVERY_FIFO);
	for (uint32_t i = 0; i < 2; i++) {
		hand(i, NULL);
		ck_assert_int_eq(fbk_link_next(consumer.link, deadline_ms(PATIENCE_MS), &frame), 0);
		ck_assert_int_eq(frame_release_later(frame, &points[i]), 0);
	}
	ck_assert_int_eq(fbk_link_listen(consumer.link, heard, &ended, NULL), 0);
	ck_assert_int_eq(fbk_link_stop(consumer.link), 0);
	ck_assert_int_eq(fbk_point_signal(points[1]), 0);
	ck_assert_int_eq(take_now(), 2);
	ck_assert_int_eq(take_now(), 1);
	ck_assert_int_eq(take_now(), -ETIMEDOUT);
	ck_assert_int_ne(phase(consumer.link), FBK_PHASE_ENDED);
	ck_assert_int_eq(fbk_point_signal(points[0]), 0);
	while (!ended) {
		readable_within(fbk_context_fd(consumer.context), PATIENCE_MS);
		ck_assert_int_ge(fbk_dispatch(consumer.context), 0);
	}
	ck_assert_int_eq(phase(consumer.link), FBK_PHASE_ENDED);
	ck_assert_int_eq(take_now(), 0);
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, failed_after_a_reached_one);
	tcase_add_test(tcase, failed_after_a_pending_one);
	tcase_add_test(tcase, failed_before_a_pending_one);
	tcase_add_test(tcase, stopped_before_a_release_point);
}

int main(void)
{
	return suite_main("frames-pending", add);
}
