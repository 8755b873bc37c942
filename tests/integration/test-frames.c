// SPDX-License-Identifier: MIT
/* Frames that come back in any order: each buffer is free by its own release, and for nothing else. */
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

/* Two of three buffers are enough, whatever the third is kept for. */
START_TEST(kept_for_ever)
{
	struct local local;
	local_open(&local, FBK_DELIVERY_FIFO, 2);
	struct fbk_frame *kept = local_expect(&local, stage_frame(NULL));
	uint32_t index = fbk_frame_index(kept);
	uint64_t first = producer.frame;
	for (unsigned int i = 0; i < count_of(20000, 100); i++) {
		struct fate fate;
		uint32_t other;
		struct fbk_frame *frame = local_expect(&local, stage_frame(&other));
		ck_assert_uint_ne(other, index);
		if (i % 2) {
			frame_release_by_way(frame, &fate);
			fate_decide(&fate, 0);
		} else {
			ck_assert_int_eq(frame_release(frame, 0), 0);
		}
	}
	ck_assert(buffer_holds(stage_buffer(index)->words, first));
	ck_assert_int_eq(frame_release(kept, 0), 0);
	exchange_drain(producer.exchange, PRODUCER_BUFFERS);
	local_close(&local);
}
END_TEST

#define TOGETHER 6

/* One round: all are out, each waits for a fence or a point of its own; these are decided in another order. */
static void each_round(struct local *local, uint64_t *seed, unsigned int *count)
{
	struct fate fates[TOGETHER];
	uint32_t indices[TOGETHER], left[TOGETHER];
	bool fails[TOGETHER];
	for (uint32_t i = 0; i < TOGETHER; i++) {
		uint64_t number = stage_frame(&indices[i]);
		left[i] = i;
		fails[i] = ++*count % 3 == 0; /* an eventfd can't */
		frame_release_to(local_expect(local, number), !fails[i] && draw(seed, 2),
				 &fates[i]);
	}
	ck_assert_int_eq(take_now(), -ETIMEDOUT);
	for (uint32_t count_left = TOGETHER; count_left > 0; count_left--) {
		uint32_t place = draw(seed, count_left), which = left[place];
		left[place] = left[count_left - 1];
		fate_decide(&fates[which], fails[which] ? -EIO : 0);
		ck_assert_uint_eq(take(), indices[which]);
		ck_assert_int_eq(take_now(), count_left > 1 ? -ETIMEDOUT : -EBUSY);
	}
	for (uint32_t i = 0; i < TOGETHER; i++) { /* free for the next round */
		ck_assert_int_eq(hand(i), 1);
		ck_assert_int_eq(frame_release(local_next(local), 0), 0);
	}
}

/* Every third release fails. The link lives, and each frees its own buffer, just then. */
START_TEST(each_by_its_own)
{
	struct fbk_link_info info = { .struct_size = sizeof(info) };
	struct local local;
	uint64_t seed = 1;
	unsigned int count = 0;
	stage_add(TOGETHER);
	local_open(&local, FBK_DELIVERY_FIFO, TOGETHER);
	while (count < count_of(1000, 10)) {
		each_round(&local, &seed, &count);
	}
	EXPECT(fbk_link_info(producer.link, &info) == 0);
	ck_assert_int_eq(info.phase, FBK_PHASE_ESTABLISHED);
	local_close(&local);
}
END_TEST

static void note_result(void *arg, int result)
{
	int *results = arg;
	results[0] = result;
	results[1]++;
}

/* The producer is told which ones failed, and of no other. */
START_TEST(results_are_told)
{
	int results[PRODUCER_BUFFERS][2] = { { 0 } };
	struct fate fates[PRODUCER_BUFFERS];
	struct local local;
	local_open(&local, FBK_DELIVERY_FIFO, 3);
	for (int i = 0; i < PRODUCER_BUFFERS; i++) {
		ck_assert_int_eq(fbk_exchange_hand(producer.exchange, take(), FBK_POINT_SIGNALLED,
						   FBK_DEADLINE_MAX, NULL, note_result, results[i]),
				 1);
		frame_release_to(local_next(&local), i == 0, &fates[i]);
	}
	for (int i = PRODUCER_BUFFERS - 1; i >= 0; i--) {
		fate_decide(&fates[i], i == 1 ? -EIO : 0);
		while (results[i][1] == 0) {
			loop_turn(producer.context);
		}
		ck_assert_int_eq(results[i][0], i == 1 ? -EIO : 0);
		for (int other = 0; other < PRODUCER_BUFFERS; other++) {
			ck_assert_int_eq(results[other][1], other >= i);
		}
	}
	local_close(&local);
}
END_TEST

/* A fence that nobody signals keeps its own buffer, past the time that policy gives to imports, and no other. */
START_TEST(no_deadline_frees)
{
	struct fate fates[2];
	uint32_t indices[2], none;
	struct local local;
	local_open(&local, FBK_DELIVERY_FIFO, 3);
	for (int which = 0; which < 2; which++) {
		uint64_t number = stage_frame(&indices[which]);
		frame_release_to(local_expect(&local, number), which == 0, &fates[which]);
	}
	take();
	ck_assert_int_eq(fbk_exchange_take(producer.exchange, deadline_ms(500), &none, NULL),
			 -ETIMEDOUT);
	fate_decide(&fates[1], 0);
	ck_assert_uint_eq(take(), indices[1]);
	ck_assert_int_eq(take_now(), -ETIMEDOUT);
	fate_decide(&fates[0], 0);
	ck_assert_uint_eq(take(), indices[0]);
	local_close(&local);
}
END_TEST

static void setup_short(void)
{
	stage_open(WAY_NATIVE, "version = 1;\n"
			       "settings: { max_import_ms = 100; };\n"
			       "rules: ( { user = \"*\"; connect = true; register = true; } );\n");
}

#define REFERENCES 4

/* An encoder holds four reference frames, and gives them up in the order in which it codes them. */
START_TEST(reference_frames)
{
	static const int coding[REFERENCES] = { 3, 1, 0, 2 };
	struct fbk_frame *frames[REFERENCES], *none;
	struct local local;
	struct fate fate;
	stage_add(TOGETHER);
	local_open(&local, FBK_DELIVERY_FIFO, REFERENCES);
	for (unsigned int frame = 0; frame < count_of(10000, 100); frame += REFERENCES) {
		uint64_t numbers[REFERENCES];
		uint32_t indices[REFERENCES];
		for (int i = 0; i < REFERENCES; i++) {
			numbers[i] = stage_frame(&indices[i]);
			frames[i] = local_expect(&local, numbers[i]);
			ck_assert_uint_eq(fbk_frame_index(frames[i]), indices[i]);
		}
		ck_assert_int_eq(fbk_link_next(local.link, 0, &none), -ENOBUFS);
		ck_assert_ptr_nonnull(strstr(fbk_error_detail(), "4 frames"));
		for (int i = 0; i < REFERENCES; i++) {
			int which = coding[i];
			EXPECT(buffer_holds(stage_buffer(indices[which])->words, numbers[which]));
			frame_release_by_way(frames[which], &fate);
			fate_decide(&fate, 0);
		}
	}
	exchange_drain(producer.exchange, TOGETHER);
	local_close(&local);
}
END_TEST

/* The order in which they come back is the order in which they are taken again. */
START_TEST(taken_as_they_come_back)
{
	static const int order[REFERENCES] = { 2, 0, 3, 1 };
	struct fbk_frame *frames[REFERENCES];
	struct local local;
	stage_add(TOGETHER);
	local_open(&local, FBK_DELIVERY_FIFO, REFERENCES);
	for (uint32_t i = 0; i < TOGETHER; i++) {
		ck_assert_int_eq(hand(take()), 1);
	}
	for (int i = 0; i < REFERENCES; i++) {
		frames[i] = local_next(&local);
	}
	for (int i = 0; i < REFERENCES; i++) {
		ck_assert_int_eq(take_now(), -ETIMEDOUT);
		ck_assert_int_eq(frame_release(frames[order[i]], 0), 0);
		ck_assert_uint_eq(take(), (uint32_t)order[i]);
	}
	for (uint32_t i = REFERENCES; i < TOGETHER; i++) {
		ck_assert_int_eq(frame_release(local_next(&local), 0), 0);
	}
	exchange_drain(producer.exchange, TOGETHER - REFERENCES);
	local_close(&local);
}
END_TEST

/* A renderer with a timeline for each image, whose window is resized all the time: more timelines than numbers. */
START_TEST(timelines_in_turn)
{
	struct fbk_timeline *images[PRODUCER_BUFFERS];
	struct local local;
	local_open(&local, FBK_DELIVERY_FIFO, 2);
	for (unsigned int resize = 0; resize < count_of(1000, 10); resize++) {
		for (uint32_t i = 0; i < PRODUCER_BUFFERS; i++) {
			images[i] = peer_timeline(producer.device, "image", 0);
			uint32_t index = take();
			ck_assert_int_eq(hand_at(index, (struct fbk_point){ images[i], 1 }), 1);
			buffer_write(stage_buffer(index), ++producer.frame);
			EXPECT(fbk_timeline_signal(images[i], 1) == 0);
			ck_assert_int_eq(frame_release(local_expect(&local, producer.frame), 0), 0);
		}
		for (uint32_t i = 0; i < PRODUCER_BUFFERS; i++) {
			fbk_timeline_close(images[i]);
		}
	}
	exchange_drain(producer.exchange, PRODUCER_BUFFERS);
	local_close(&local);
}
END_TEST

static void add_both(TCase *tcase)
{
	tcase_add_test(tcase, kept_for_ever);
	tcase_add_test(tcase, reference_frames);
	tcase_add_test(tcase, timelines_in_turn);
}

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, stage_close);
	add_both(tcase);
	tcase_add_test(tcase, each_by_its_own);
	tcase_add_test(tcase, results_are_told);
	tcase_add_test(tcase, taken_as_they_come_back);
}

static void add_eventfd(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup_eventfd, stage_close);
	add_both(tcase);
	tcase_add_test(tcase, each_by_its_own);
}

static void add_short(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup_short, stage_close);
	tcase_add_test(tcase, no_deadline_frees);
}

int main(void)
{
	int failed = suite_main("frames", add);
	failed |= suite_main("frames by eventfd", add_eventfd);
	return failed | suite_main("frames whose fences are late", add_short);
}
