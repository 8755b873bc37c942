// SPDX-License-Identifier: MIT
/* Frames that come back in any order: each buffer is free by its own release, and for nothing else. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib-exchange.h"

#define EXTRA 3 /* buffers besides the producer's */

static bool soak(void)
{
	return getenv("FBK_SOAK") != NULL;
}

static struct daemon server;
static struct producer producer;
static struct buffer extra[EXTRA];
static int offer;

static void setup(void)
{
	daemon_serve(&server, NULL);
	producer_open(&producer, &server, FBK_MEMORY64, FBK_MEMORY64, &offer);
}

static void teardown(void)
{
	close(offer);
	producer_close(&producer);
	daemon_stop(&server);
}

static void add_extra(void)
{
	for (uint32_t i = 0; i < EXTRA; i++) {
		buffer_create(&extra[i]);
		struct fbk_buffer_desc desc = buffer_desc(&extra[i]);
		EXPECT(fbk_exchange_add(producer.exchange, PRODUCER_BUFFERS + i, &desc) == 0);
	}
}

/* A consumer in this process, with a context of its own. */
struct local {
	struct fbk_context *context;
	struct fbk_device *device;
	struct fbk_link *link;
};

static void local_open_at(struct local *local, int fd, struct fbk_link *from,
			  enum fbk_delivery delivery, uint32_t hold)
{
	local->context = peer_connect(&server);
	local->device =
		exchange_device(local->context, "local", FBK_MEMORY64, FBK_MEMORY64 | FBK_EVENTFD);
	int r = link_accept_as(local->device, fd, delivery, hold, &local->link);
	ck_assert_msg(r == 0, "accepting: %s", fbk_error_detail());
	EXPECT(fbk_link_wait(from, deadline_ms(PATIENCE_MS)) == 0);
}

static void local_open(struct local *local, enum fbk_delivery delivery, uint32_t hold)
{
	local_open_at(local, offer, producer.link, delivery, hold);
}

static void local_close(struct local *local)
{
	fbk_link_close(local->link);
	fbk_disconnect(local->context);
}

static struct fbk_frame *local_next(struct local *local)
{
	struct fbk_frame *frame = NULL;
	int r = fbk_link_next(local->link, deadline_ms(PATIENCE_MS), &frame);
	ck_assert_msg(r == 0, "the next frame: %s", fbk_error_detail());
	return frame;
}

static int local_try(struct local *local)
{
	struct fbk_frame *frame = NULL;
	int r = fbk_link_next(local->link, 0, &frame);
	fbk_frame_unref(frame);
	return r;
}

static uint32_t take(void)
{
	uint32_t index;
	int r = fbk_exchange_take(producer.exchange, deadline_ms(PATIENCE_MS), &index, NULL);
	ck_assert_msg(r == 0, "taking: %s", fbk_error_detail());
	return index;
}

static int take_now(void)
{
	uint32_t index;
	int r = fbk_exchange_take(producer.exchange, 0, &index, NULL);
	return r == 0 ? (int)index : r;
}

static int hand_at(uint32_t index, struct fbk_point acquire)
{
	return fbk_exchange_hand(producer.exchange, index, acquire, deadline_ms(PATIENCE_MS), NULL,
				 NULL, NULL);
}

static int hand(uint32_t index)
{
	return hand_at(index, FBK_POINT_SIGNALLED);
}

/* ------------------------------------------------------------------------------------ any order -- */

START_TEST(kept_for_ever)
{
	struct local local;
	local_open(&local, FBK_DELIVERY_FIFO, 2);
	ck_assert_int_eq(hand(take()), 1);
	struct fbk_frame *kept = local_next(&local);
	uint32_t index = fbk_frame_index(kept);
	buffer_write(&producer.buffers[index], 4711);
	for (int i = 0; i < (soak() ? 20000 : 200); i++) {
		uint32_t other = take();
		ck_assert_uint_ne(other, index);
		ck_assert_int_eq(hand(other), 1);
		ck_assert_int_eq(frame_release(local_next(&local), 0), 0);
	}
	ck_assert(buffer_holds(producer.buffers[index].words, 4711));
	ck_assert_int_eq(frame_release(kept, 0), 0);
	exchange_drain(producer.exchange, PRODUCER_BUFFERS);
	local_close(&local);
}
END_TEST

/* Of three frames, each is released by a fence or a point; a third of these fail. They are decided in another order than
 * they were released in, and each frees its own buffer. */
START_TEST(each_by_its_own)
{
	static const int orders[][3] = { { 2, 1, 0 }, { 1, 0, 2 }, { 2, 0, 1 } };
	struct local local;
	local_open(&local, FBK_DELIVERY_FIFO, 3);
	for (int round = 0; round < (soak() ? 333 : 33); round++) {
		struct fbk_point points[3];
		uint32_t indices[3];
		int fence = eventfd(0, EFD_CLOEXEC);
		for (int i = 0; i < 3; i++) {
			indices[i] = take();
			ck_assert_int_eq(hand(indices[i]), 1);
			struct fbk_frame *frame = local_next(&local);
			if (i == 1) {
				ck_assert_int_eq(fbk_frame_release_on(frame, dup(fence)), 0);
				fbk_frame_unref(frame);
			} else {
				ck_assert_int_eq(frame_release_later(frame, &points[i]), 0);
			}
		}
		ck_assert_int_eq(take_now(), -ETIMEDOUT);
		for (int i = 0; i < 3; i++) {
			int which = orders[round % 3][i];
			ck_assert_int_eq(which == 0   ? fbk_point_fail(points[0], -EIO)
					 : which == 1 ? eventfd_write(fence, 1)
						      : fbk_point_signal(points[2]),
					 0);
			ck_assert_uint_eq(take(), indices[which]);
			ck_assert_int_eq(take_now(), i == 2 ? -EBUSY : -ETIMEDOUT);
		}
		for (uint32_t i = 0; i < 3; i++) {
			ck_assert_int_eq(hand(i), 1); /* all three are free for the next round */
			ck_assert_int_eq(frame_release(local_next(&local), 0), 0);
		}
		close(fence);
	}
	local_close(&local);
}
END_TEST

/* A decoder holds its reference frames, and gives them up as it likes. */
START_TEST(reference_frames)
{
	static const int order[] = { 2, 0, 3, 1 };
	struct fbk_frame *frames[4], *none;
	struct local local;
	add_extra();
	local_open(&local, FBK_DELIVERY_FIFO, 4);
	for (uint32_t i = 0; i < 5; i++) {
		ck_assert_int_eq(hand(take()), 1);
	}
	for (int i = 0; i < 4; i++) {
		frames[i] = local_next(&local);
		ck_assert_uint_eq(fbk_frame_index(frames[i]), (uint32_t)i);
	}
	ck_assert_int_eq(fbk_link_next(local.link, 0, &none), -ENOBUFS);
	ck_assert_ptr_nonnull(strstr(fbk_error_detail(), "4 frames"));
	ck_assert_uint_eq(take(), 5);
	for (int i = 0; i < 4; i++) {
		ck_assert_int_eq(take_now(), -ETIMEDOUT);
		ck_assert_int_eq(frame_release(frames[order[i]], 0), 0);
		ck_assert_uint_eq(take(), (uint32_t)order[i]);
	}
	ck_assert_int_eq(frame_release(local_next(&local), 0), 0);
	local_close(&local);
	exchange_drain(producer.exchange, 1);
}
END_TEST

/* ------------------------------------------------------------------------------------- mailbox --- */

/* Three frames for each that is taken: it is the newest. */
START_TEST(mailbox)
{
	struct local local;
	uint64_t last = 0;
	local_open(&local, FBK_DELIVERY_MAILBOX, 1);
	for (int round = 0; round < 100; round++) {
		for (int i = 0; i < 3; i++) {
			uint32_t index = take();
			buffer_write(&producer.buffers[index], ++producer.frame);
			ck_assert_int_eq(hand(index), 1);
		}
		struct fbk_frame *frame = local_next(&local);
		ck_assert_uint_eq(producer.buffers[fbk_frame_index(frame)].words[0],
				  producer.frame);
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

START_TEST(one_is_skipped)
{
	struct local quick, slow;
	struct fbk_link *second;
	int offer2;
	ck_assert_int_eq(link_offer(producer.device, FBK_ROLE_PRODUCER, &offer2, &second), 0);
	ck_assert_int_eq(fbk_exchange_attach(producer.exchange, second), 0);
	local_open(&quick, FBK_DELIVERY_FIFO, 1);
	local_open_at(&slow, offer2, second, FBK_DELIVERY_FIFO, 1);
	ck_assert_int_eq(fbk_exchange_set_depth(producer.exchange, second, 3, FBK_SKIP), -ENOBUFS);
	ck_assert_int_eq(fbk_exchange_set_depth(producer.exchange, second, 1, FBK_SKIP), 0);
	for (int i = 0; i < 100; i++) {
		ck_assert_int_eq(hand(take()), i == 0 ? 2 : 1);
		ck_assert_int_eq(frame_release(local_next(&quick), 0), 0);
	}
	struct fbk_frame *frame = local_next(&slow);
	ck_assert_uint_eq(fbk_frame_sequence(frame), 1);
	ck_assert_uint_eq(fbk_frame_meta(frame)->flags & FBK_FRAME_DISCONT, 0);
	ck_assert_int_eq(frame_release(frame, 0), 0);
	for (int i = 0; i < 2; i++) {
		ck_assert_int_eq(hand(take()), 2);
		ck_assert_int_eq(frame_release(local_next(&quick), 0), 0);
		frame = local_next(&slow);
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
	ck_assert_int_eq(fbk_exchange_set_depth(producer.exchange, producer.link, 1, FBK_WAIT), 0);
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
		ck_assert_int_eq(_i ? hand(2) : fbk_link_next(local.link, 0, &none),
				 _i ? -ENOTCONN : -EPIPE);
		EXPECT(fbk_link_info(stops, &info) == 0);
		ck_assert_int_eq(info.phase, FBK_LINK_ESTABLISHED);
		ck_assert_int_eq(frame_release(frames[i], 0), 0);
	}
	exchange_drain(producer.exchange, PRODUCER_BUFFERS);
	EXPECT(fbk_link_info(stops, &info) == 0);
	ck_assert_int_eq(info.phase, FBK_LINK_ENDED);
	EXPECT(fbk_link_info(_i ? local.link : producer.link, &info) == 0);
	ck_assert_int_eq(info.phase, _i ? FBK_LINK_ENDED : FBK_LINK_OFFERED);
	ck_assert_int_eq(fbk_link_next(local.link, deadline_ms(PATIENCE_MS), &none), -EPIPE);
	local_close(&local);
}
END_TEST

/* --------------------------------------------------------------------------------- side by side -- */

/* A thread that consumes: holds two frames, gives them back in any order and way, and pauses now and then. */
struct taker {
	struct local local;
	pthread_t thread;
	uint64_t seed, count, last;
	const uint64_t *maps[PRODUCER_BUFFERS]; /* its own, as in another process */
};

static uint32_t draw(struct taker *taker, uint32_t below)
{
	taker->seed = taker->seed * 6364136223846793005U + 1442695040888963407U;
	return (uint32_t)(taker->seed >> 33) % below;
}

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
	if (draw(taker, 2)) {
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
		uint32_t which = draw(taker, 2);
		if (held[which]) {
			give_up(taker, held[which]);
			held[which] = NULL;
		}
		r = fbk_link_next(taker->local.link, deadline_ms(PATIENCE_MS), &held[which]);
		if (r == 0) {
			EXPECT(fbk_point_wait(fbk_frame_acquire(held[which]),
					      deadline_ms(PATIENCE_MS)) == 0);
			EXPECT(number_of(held[which]) > taker->last);
			taker->last = number_of(held[which]);
			taker->count++;
		}
		if (r == 0 && draw(taker, 64) == 0) {
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
	uint64_t frames = soak() ? 50000 : 2000;
	struct taker taker = { .seed = (uint64_t)_i + 7 };
	local_open(&taker.local, _i ? FBK_DELIVERY_MAILBOX : FBK_DELIVERY_FIFO, 2);
	EXPECT(pthread_create(&taker.thread, NULL, taker_run, &taker) == 0);
	for (uint64_t number = 1; number <= frames; number++) {
		number_hand(number);
	}
	EXPECT(fbk_link_stop(producer.link) == 0);
	pthread_join(taker.thread, NULL);
	exchange_drain(producer.exchange, PRODUCER_BUFFERS);
	local_close(&taker.local);
	/* a mailbox drops what its taker has no time for, on a busy machine nearly all */
	ck_assert_uint_gt(taker.count, _i ? 0 : frames / 2);
}
END_TEST

/* ------------------------------------------------------------------------------------- objects --- */

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
	for (int32_t i = 100; i < 116; i++) {
		ck_assert_int_eq(hand_damaged(index, i, 1), 0);
	}
	ck_assert_int_eq(fbk_link_pause(local.link, false), 0);
	ck_assert_int_eq(hand_damaged(index, 200, 1), 1);
	struct fbk_frame *frame = local_next(&local);
	const struct fbk_frame_meta *meta = fbk_frame_meta(frame);
	ck_assert_uint_eq(meta->damage_count, 2);
	ck_assert_int_eq(meta->damage[0].x, 100);
	ck_assert_uint_eq(meta->damage[0].width, 16);
	ck_assert_int_eq(meta->damage[1].x, 200);
	ck_assert_int_eq(frame_release(frame, 0), 0);
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
	meta.struct_size = 8;
	ck_assert_int_eq(fbk_exchange_hand(producer.exchange, index, FBK_POINT_SIGNALLED,
					   FBK_DEADLINE_MAX, &meta, NULL, NULL),
			 -EINVAL);
	local_close(&local);
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, kept_for_ever);
	tcase_add_test(tcase, each_by_its_own);
	tcase_add_test(tcase, reference_frames);
	tcase_add_test(tcase, mailbox);
	tcase_add_test(tcase, mailbox_of_slow_frames);
	tcase_add_test(tcase, one_is_skipped);
	tcase_add_test(tcase, depth_is_waited_for);
	tcase_add_test(tcase, paused);
	tcase_add_loop_test(tcase, stopped, 0, 2);
	tcase_add_loop_test(tcase, side_by_side, 0, 2);
	tcase_add_test(tcase, outlives_all);
	tcase_add_test(tcase, forgotten);
	tcase_add_test(tcase, what_a_frame_says);
	tcase_add_test(tcase, damage_is_merged);
}

int main(void)
{
	return suite_main("frames", add);
}
