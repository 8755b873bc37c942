// SPDX-License-Identifier: MIT
/* What a frame says, and what becomes of frames as objects. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "lib-stage.h"

static void setup(void)
{
	stage_open(WAY_NATIVE, NULL);
}

START_TEST(outlives_all)
{
	struct fbk_frame *frames[2];
	struct local local;
	local_open(&local, FBK_DELIVERY_FIFO, 2);
	for (int i = 0; i < 2; i++) {
		buffer_write(&producer.buffers[i], 7);
		ck_assert_int_eq(hand((uint32_t)i), 1);
		frames[i] = local_next(&local);
	}
	fbk_link_close(local.link);
	for (int i = 0; i < 2; i++) {
		uint64_t word = 0;
		ck_assert_int_eq(fbk_frame_release(frames[i], 0), -ESTALE);
		EXPECT(pread(frame_fd(frames[i]), &word, sizeof(word), 0) == sizeof(word));
		ck_assert_uint_eq(word, 7);
		ck_assert_int_eq(fbk_frame_error(frames[i]), 0);
	}
	fbk_frame_unref(fbk_frame_ref(frames[0]));
	fbk_frame_unref(frames[0]);
	fbk_disconnect(local.context);
	ck_assert_uint_eq(fbk_frame_index(frames[1]), 1);
	fbk_frame_unref(frames[1]);
	exchange_drain(producer.exchange, PRODUCER_BUFFERS);
}
END_TEST

/* The last reference of a frame that is held gives it back. */
START_TEST(forgotten)
{
	struct local local;
	local_open(&local, FBK_DELIVERY_FIFO, 2);
	ck_assert_int_eq(hand(0), 1);
	fbk_frame_unref(local_next(&local));
	exchange_drain(producer.exchange, PRODUCER_BUFFERS);
	local_close(&local);
}
END_TEST

START_TEST(what_a_frame_says)
{
	struct fbk_frame_meta meta = FBK_FRAME_META_INIT;
	struct local local;
	uint32_t index, age;
	local_open(&local, FBK_DELIVERY_FIFO, 2);
	ck_assert_int_eq(hand(take()), 1); /* of the first, everything is new */
	ck_assert_int_eq(frame_release(local_next(&local), 0), 0);
	meta.flags = FBK_FRAME_KEY;
	meta.pts_ns = 1000;
	meta.crop = (struct fbk_rectangle){ 1, 2, 3, 4 };
	meta.bytes_used[0] = 99;
	meta.damage_count = 2;
	meta.damage[1] = (struct fbk_rectangle){ 5, 6, 7, 8 };
	meta.damage[0] = meta.crop;
	meta.user_size = 5;
	memcpy(meta.user, "hello", 5);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(fbk_exchange_take(producer.exchange, 0, &index, &age), 0);
		ck_assert_uint_eq(age, 0);
		ck_assert_int_eq(fbk_exchange_hand(producer.exchange, index, FBK_POINT_SIGNALLED,
						   FBK_DEADLINE_MAX, i ? NULL : &meta, NULL, NULL),
				 1);
		struct fbk_frame *frame = local_next(&local);
		const struct fbk_frame_meta none = FBK_FRAME_META_INIT;
		ck_assert_mem_eq(fbk_frame_meta(frame), i ? &none : &meta, sizeof(meta));
		ck_assert_int_eq(frame_release(frame, 0), 0);
	}
	ck_assert_uint_eq(take(), 0);
	ck_assert_int_eq(fbk_exchange_take(producer.exchange, 0, &index, &age), 0);
	ck_assert_uint_eq(index, 1);
	ck_assert_uint_eq(age, 2);
	meta.user_size = FBK_FRAME_USER_MAX + 1;
	ck_assert_int_eq(fbk_exchange_hand(producer.exchange, index, FBK_POINT_SIGNALLED,
					   FBK_DEADLINE_MAX, &meta, NULL, NULL),
			 -EINVAL);
	meta.user_size = 0;
	meta.flags = FBK_FRAME_KEY | FBK_FRAME_HEADER << 2;
	ck_assert_int_eq(fbk_exchange_hand(producer.exchange, index, FBK_POINT_SIGNALLED,
					   FBK_DEADLINE_MAX, &meta, NULL, NULL),
			 -EINVAL);
	ck_assert_str_eq(fbk_error_detail(), "a frame has no flags 0x40");
	meta.struct_size = 8;
	ck_assert_int_eq(fbk_exchange_hand(producer.exchange, index, FBK_POINT_SIGNALLED,
					   FBK_DEADLINE_MAX, &meta, NULL, NULL),
			 -EINVAL);
	local_close(&local);
}
END_TEST

/* One frame, changed at (x, 0) of `width` alone; width 0: it says nothing. */
static int hand_damaged(uint32_t index, int32_t x, uint32_t width)
{
	struct fbk_frame_meta meta = FBK_FRAME_META_INIT;
	meta.damage_count = width > 0;
	meta.damage[0] = (struct fbk_rectangle){ x, 0, width, 1 };
	return fbk_exchange_hand(producer.exchange, index, FBK_POINT_SIGNALLED, FBK_DEADLINE_MAX,
				 &meta, NULL, NULL);
}

/* The next frame has rectangles at just these places. */
static void expect_damage(struct local *local, const int32_t *x, uint32_t count)
{
	struct fbk_frame *frame = local_next(local);
	const struct fbk_frame_meta *meta = fbk_frame_meta(frame);
	ck_assert_uint_eq(meta->damage_count, count);
	for (uint32_t i = 0; i < count; i++) {
		ck_assert_int_eq(meta->damage[i].x, x[i]);
	}
	ck_assert_int_eq(frame_release(frame, 0), 0);
}

/* What a consumer does not see, it learns with the next frame. */
START_TEST(damage_is_merged)
{
	struct local local;
	local_open(&local, FBK_DELIVERY_MAILBOX, 1);
	ck_assert_int_eq(hand_damaged(take(), 1, 1), 1);
	expect_damage(&local, NULL, 0); /* its first: everything */
	ck_assert_int_eq(hand_damaged(take(), 2, 1), 1);
	expect_damage(&local, (int32_t[]){ 2 }, 1);
	/* passed over, and there still */
	ck_assert_int_eq(hand_damaged(take(), 3, 1), 1);
	ck_assert_int_eq(hand_damaged(take(), 4, 1), 1);
	expect_damage(&local, (int32_t[]){ 3, 4 }, 2);
	/* passed over, and its buffer used again */
	for (int32_t i = 5; i <= 8; i++) {
		ck_assert_int_eq(hand_damaged(take(), i, 1), 1);
	}
	expect_damage(&local, (int32_t[]){ 6, 5, 7, 8 }, 4);
	/* one says nothing: everything */
	ck_assert_int_eq(hand_damaged(take(), 9, 1), 1);
	ck_assert_int_eq(hand_damaged(take(), 0, 0), 1);
	ck_assert_int_eq(hand_damaged(take(), 10, 1), 1);
	expect_damage(&local, NULL, 0);
	/* taken back, by a pause; and never offered */
	ck_assert_int_eq(hand_damaged(take(), 11, 1), 1);
	ck_assert_int_eq(fbk_link_pause(local.link, true), 0);
	uint32_t index = take();
	ck_assert_int_eq(hand_damaged(index, 12, 1), 0);
	ck_assert_int_eq(fbk_link_pause(local.link, false), 0);
	ck_assert_int_eq(hand_damaged(index, 13, 1), 1);
	expect_damage(&local, (int32_t[]){ 11, 12, 13 }, 3);
	/* more than a frame has: the rectangle around the first 16, and the rest */
	ck_assert_int_eq(fbk_link_pause(local.link, true), 0);
	index = take();
	for (int32_t i = 10; i < 26; i++) {
		ck_assert_int_eq(hand_damaged(index, i, 1), 0);
	}
	ck_assert_int_eq(fbk_link_pause(local.link, false), 0);
	ck_assert_int_eq(hand_damaged(index, 30, 1), 1);
	struct fbk_frame *frame = local_next(&local);
	const struct fbk_frame_meta *meta = fbk_frame_meta(frame);
	ck_assert_uint_eq(meta->damage_count, 2);
	ck_assert_int_eq(meta->damage[0].x, 10);
	ck_assert_uint_eq(meta->damage[0].width, 16);
	ck_assert_int_eq(meta->damage[1].x, 30);
	ck_assert_int_eq(frame_release(frame, 0), 0);
	exchange_drain(producer.exchange, PRODUCER_BUFFERS);
	local_close(&local);
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, stage_close);
	tcase_add_test(tcase, outlives_all);
	tcase_add_test(tcase, forgotten);
	tcase_add_test(tcase, what_a_frame_says);
	tcase_add_test(tcase, damage_is_merged);
}

int main(void)
{
	return suite_main("what frames say", add);
}
