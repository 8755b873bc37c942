// SPDX-License-Identifier: MIT
/* A producer and a consumer side by side on two threads, in their own time. */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>

#include "lib-stage.h"

static void setup(void)
{
	stage_open(WAY_NATIVE, NULL);
}

/* A thread that consumes: holds two frames, gives them back in any order and way, and pauses now and then. */
struct taker {
	struct local local;
	pthread_t thread;
	uint64_t seed, count;
	bool pauses;
	_Atomic uint64_t last;                  /* the newest that it got */
	const uint64_t *maps[PRODUCER_BUFFERS]; /* its own, as in another process */
};

static uint64_t number_of(const struct fbk_frame *frame)
{
	uint64_t number;
	memcpy(&number, fbk_frame_meta(frame)->user, sizeof(number));
	return number;
}

static void give_up(struct taker *taker, struct fbk_frame *frame)
{
	struct fbk_point point;
	const uint64_t **map = &taker->maps[fbk_frame_index(frame)];
	if (!*map) {
		*map = mmap(NULL, BUFFER_SIZE, PROT_READ, MAP_SHARED, frame_fd(frame), 0);
		EXPECT(*map != MAP_FAILED);
	}
	EXPECT(buffer_holds(*map, number_of(frame)));
	if (draw(&taker->seed, 2)) {
		EXPECT(frame_release(frame, 0) == 0);
	} else {
		EXPECT(frame_release_later(frame, &point) == 0);
		EXPECT(fbk_point_signal(point) == 0);
	}
}

static void *taker_run(void *arg)
{
	struct taker *taker = arg;
	struct fbk_frame *held[2] = { NULL };
	int r = 0;
	while (r == 0) {
		uint32_t which = draw(&taker->seed, 2);
		if (held[which]) {
			give_up(taker, held[which]);
			held[which] = NULL;
		}
		r = fbk_link_next(taker->local.link, deadline_ms(PATIENCE_MS), &held[which]);
		if (r == 0) {
			EXPECT(fbk_point_wait(fbk_frame_acquire(held[which]),
					      deadline_ms(PATIENCE_MS)) == 0);
			EXPECT(number_of(held[which]) > taker->last);
			taker->last = number_of(held[which]); /* seq_cst: no matter here */
			taker->count++;
		}
		if (r == 0 && taker->pauses && draw(&taker->seed, 64) == 0) {
			EXPECT(fbk_link_pause(taker->local.link, true) == 0);
			EXPECT(fbk_link_pause(taker->local.link, false) == 0);
		}
	}
	EXPECT(r == -EPIPE);
	fbk_frame_unref(held[0]);
	fbk_frame_unref(held[1]);
	return NULL;
}

static void number_hand(uint64_t number)
{
	struct fbk_frame_meta meta = FBK_FRAME_META_INIT;
	struct fbk_point drawn = { producer.timeline, number };
	uint32_t index = take();
	meta.user_size = sizeof(number);
	memcpy(meta.user, &number, sizeof(number));
	if (number % 2) { /* drawn before, or while it is on its way */
		buffer_write(&producer.buffers[index], number);
		EXPECT(fbk_point_signal(drawn) == 0);
	}
	int r = fbk_exchange_hand(producer.exchange, index, drawn, FBK_DEADLINE_MAX, &meta, NULL,
				  NULL);
	EXPECT(r == 0 || r == 1); /* 0: it pauses */
	if (number % 2 == 0) {
		buffer_write(&producer.buffers[index], number);
		EXPECT(fbk_point_signal(drawn) == 0);
	}
	if (r == 0) {
		EXPECT(fbk_exchange_remove(producer.exchange, index) == 0);
		struct fbk_buffer_desc desc = buffer_desc(&producer.buffers[index]);
		EXPECT(fbk_exchange_add(producer.exchange, index, &desc) == 0);
	}
}

START_TEST(side_by_side)
{
	uint64_t frames = count_of(50000, 25);
	struct taker taker = { .seed = (uint64_t)_i + 7, .pauses = true };
	local_open(&taker.local, _i ? FBK_DELIVERY_MAILBOX : FBK_DELIVERY_FIFO, 2);
	EXPECT(pthread_create(&taker.thread, NULL, taker_run, &taker) == 0);
	for (uint64_t number = 1; number <= frames; number++) {
		number_hand(number);
	}
	EXPECT(fbk_link_stop(producer.link) == 0);
	pthread_join(taker.thread, NULL);
	exchange_drain(producer.exchange, PRODUCER_BUFFERS);
	local_close(&taker.local);
	/* How many a mailbox's taker gets is the scheduler's choice: the producer never waits for it, so all its frames
	 * may go by while the taker has no CPU. That no wake is lost is for the next test. */
	ck_assert_uint_gt(taker.count, _i ? 0 : frames / 2);
}
END_TEST

/* The producer stops after a few frames, at any moment of the taker's: the last one is never lost. A taker that slept
 * through its wake would get nothing any more. */
START_TEST(bursts)
{
	uint64_t number = 0, seed = 99;
	struct taker taker = { .seed = (uint64_t)_i + 7 };
	local_open(&taker.local, _i ? FBK_DELIVERY_MAILBOX : FBK_DELIVERY_FIFO, 2);
	EXPECT(pthread_create(&taker.thread, NULL, taker_run, &taker) == 0);
	for (unsigned int burst = 0; burst < count_of(100000, 100); burst++) {
		for (uint32_t left = 1 + draw(&seed, 4); left > 0; left--) {
			number_hand(++number);
		}
		uint64_t give_up_ms = now_ms() + PATIENCE_MS;
		while (taker.last != number) {
			EXPECT(now_ms() < give_up_ms);
			sched_yield();
		}
	}
	EXPECT(fbk_link_stop(producer.link) == 0);
	pthread_join(taker.thread, NULL);
	exchange_drain(producer.exchange, PRODUCER_BUFFERS);
	local_close(&taker.local);
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, stage_close);
	tcase_add_loop_test(tcase, side_by_side, 0, 2);
	tcase_add_loop_test(tcase, bursts, 0, 2);
}

int main(void)
{
	return suite_main("frames side by side", add);
}
