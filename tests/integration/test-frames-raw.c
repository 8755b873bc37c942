// SPDX-License-Identifier: MIT
/* Consumers that write lies to their lanes: an error that names it ends their own link, and no other. */
#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "client/lib/link/link.h"
#include "lib-stage.h"

static struct local liar, honest;
static struct fbk_link *second;
static int offer2;

static void setup(void)
{
	stage_open(WAY_NATIVE, NULL);
	EXPECT(link_offer(producer.device, FBK_ROLE_PRODUCER, &offer2, &second) == 0);
	EXPECT(fbk_exchange_attach(producer.exchange, second) == 0);
	local_open(&liar, FBK_DELIVERY_FIFO, 3);
	local_open_at(&honest, offer2, second, FBK_DELIVERY_FIFO, 3);
	EXPECT(fbk_link_wait(liar.link, deadline_ms(PATIENCE_MS)) == 0);
}

static void teardown(void)
{
	local_close(&honest);
	local_close(&liar);
	fbk_link_close(second);
	close(offer2);
	stage_close();
}

static void lie(uint32_t index, uint64_t sequence)
{
	lane_return_write(&liar.link->out.page,
			  &(struct lane_return){ .index = index, .sequence = sequence });
	EXPECT(lane_raise(&liar.link->out) == 0);
}

/* It ended for that; the other one goes on, and the next consumer too. */
static void expect_end(const char *part)
{
	struct fbk_link_info info = { .struct_size = sizeof(info) };
	struct local next;
	EXPECT(fbk_link_info(producer.link, &info) == 0);
	ck_assert_int_eq(info.phase, FBK_PHASE_OFFERED);
	ck_assert_int_eq(info.error, -EPROTO);
	ck_assert_msg(strstr(info.cause, part) != NULL, "%s", info.cause);
	local_open(&next, FBK_DELIVERY_FIFO, 3);
	uint32_t index = take();
	ck_assert_int_eq(hand(index), 2);
	ck_assert_int_eq(frame_release(local_next(&next), 0), 0);
	ck_assert_int_eq(frame_release(local_next(&honest), 0), 0);
	local_close(&next);
}

START_TEST(buffer_that_is_not_out)
{
	lie(2, 1);
	expect_end("buffer 2 as frame 1,");
}
END_TEST

START_TEST(frame_from_the_future)
{
	uint32_t index = take();
	ck_assert_int_eq(hand(index), 2);
	ck_assert_int_eq(frame_release(local_next(&honest), 0), 0);
	lie(index, 2);
	expect_end("buffer 0 as frame 2,");
}
END_TEST

/* It raced something: nothing happens. */
START_TEST(frame_of_the_past)
{
	for (int i = 0; i < 2; i++) {
		exchange_drain(producer.exchange, i == 0 ? PRODUCER_BUFFERS : 1);
		ck_assert_int_eq(hand(0), 2);
		ck_assert_int_eq(frame_release(local_next(&honest), 0), 0);
		struct fbk_frame *frame = local_next(&liar);
		if (i == 1) {
			lie(0, 1);
			ck_assert_int_eq(take_now(), -ETIMEDOUT);
		}
		ck_assert_int_eq(frame_release(frame, 0), 0);
	}
	ck_assert_uint_eq(take(), 0);
}
END_TEST

/* ------------------------------------------------------------------------------ the lane's payload -- */

static const uint64_t payloads[] = {
	FBK_POINT_MAX - 1,
	FBK_POINT_MAX,
	FBK_POISON,
	FBK_POISON | 1,
	FBK_POISON | (FBK_POISON - 1),
	FBK_POISON << 1,
	(FBK_POISON << 1) - 1,
	UINT64_MAX - 1,
	UINT64_MAX,
};

#define PAYLOADS (sizeof(payloads) / sizeof(payloads[0]))

static void payload_write(struct fbk_timeline *lane, uint64_t payload)
{
	atomic_store_explicit(lane->payload, payload, memory_order_seq_cst);
	atomic_store_explicit(&lane->last, payload, memory_order_seq_cst);
}

/* The others go on; it does, or its link ends with a sentence about its releases. */
static void expect_others(uint32_t frames)
{
	for (uint32_t i = 0; i < frames; i++) {
		uint32_t index = take();
		ck_assert_int_ge(hand(index), 1);
		struct fbk_frame *frame = local_next(&honest);
		ck_assert_uint_eq(fbk_frame_index(frame), index);
		ck_assert_int_eq(frame_release(frame, 0), 0);
		local_try(&liar);
	}
}

/* It is gone: all is as if it had not been. */
static void expect_next(void)
{
	struct local next;
	local_close(&liar);
	exchange_drain(producer.exchange, PRODUCER_BUFFERS);
	local_open(&next, FBK_DELIVERY_FIFO, 3);
	for (uint32_t i = 0; i < 2 * PRODUCER_BUFFERS; i++) {
		ck_assert_int_eq(hand(i % PRODUCER_BUFFERS), 2);
		ck_assert_int_eq(frame_release(local_next(&next), 0), 0);
		ck_assert_int_eq(frame_release(local_next(&honest), 0), 0);
		ck_assert_uint_eq(take(), i % PRODUCER_BUFFERS);
	}
	local_close(&next);
	local_open(&liar, FBK_DELIVERY_FIFO, 3);
}

static void expect_lane_named(void)
{
	struct fbk_link_info info = { .struct_size = sizeof(info) };
	uint64_t give_up = now_ms() + PATIENCE_MS;
	while (info.error == 0 &&
	       now_ms() < give_up) { /* the daemon may have to look at it first */
		EXPECT(fbk_link_info(producer.link, &info) == 0);
	}
	ck_assert_int_eq(info.error, -EPROTO);
	ck_assert_msg(strstr(info.cause, "its count of releases") != NULL, "%s", info.cause);
}

START_TEST(payload_of_a_consumer_with_nothing)
{
	payload_write(liar.link->out.timeline, payloads[_i]);
	ck_assert_int_eq(take_now(), 0);
	ck_assert_int_eq(take_now(), 1);
	ck_assert_int_eq(take_now(), 2);
	ck_assert_int_eq(take_now(), -EBUSY);
	expect_lane_named();
	ck_assert_int_eq(local_try(&liar), -EPIPE);
	for (uint32_t i = 0; i < PRODUCER_BUFFERS; i++) {
		ck_assert_int_eq(hand(i), 1);
		ck_assert_int_eq(frame_release(local_next(&honest), 0), 0);
	}
	expect_others(10);
	expect_next();
}
END_TEST

/* The other has all of them: whoever waits for one sleeps. */
START_TEST(payload_of_a_consumer_that_gave_all_back)
{
	struct fbk_frame *frames[PRODUCER_BUFFERS];
	for (int i = 0; i < PRODUCER_BUFFERS; i++) {
		ck_assert_int_eq(hand(take()), 2);
		frames[i] = local_next(&honest);
		ck_assert_int_eq(frame_release(local_next(&liar), 0), 0);
	}
	payload_write(liar.link->out.timeline, payloads[_i]);
	ck_assert_int_eq(take_now(), -ETIMEDOUT);
	expect_lane_named();
	ck_assert_int_eq(take_now(), -ETIMEDOUT);
	for (int i = 0; i < PRODUCER_BUFFERS; i++) {
		ck_assert_int_eq(frame_release(frames[i], 0), 0);
	}
	expect_others(5);
	expect_next();
}
END_TEST

START_TEST(payload_of_a_consumer_with_frames)
{
	ck_assert_int_eq(hand(0), 2);
	ck_assert_int_eq(hand(1), 2);
	ck_assert_int_eq(hand(2), 2);
	struct fbk_frame *held = local_next(&liar);
	for (int i = 0; i < PRODUCER_BUFFERS; i++) {
		ck_assert_int_eq(frame_release(local_next(&honest), 0), 0);
	}
	payload_write(liar.link->out.timeline, payloads[_i]);
	/* what it did not take is back at once; the other follows, when it has seen the end */
	uint32_t index;
	ck_assert_int_eq(
		fbk_exchange_take(producer.exchange, deadline_ms(PATIENCE_MS), &index, NULL), 0);
	ck_assert_int_eq(hand(index), 1);
	ck_assert_int_eq(frame_release(local_next(&honest), 0), 0);
	expect_lane_named();
	ck_assert_int_eq(local_try(&liar), -EPIPE);
	ck_assert_int_eq(frame_release(held, 0), -ESTALE);
	expect_others(10);
	expect_next();
}
END_TEST

/* Nothing came, as far as it says. */
START_TEST(payload_goes_back)
{
	expect_others(5);
	payload_write(liar.link->out.timeline, 0);
	expect_others(5);
	expect_next();
}
END_TEST

/* ---------------------------------------------------------------------------------- the claim words -- */

static _Atomic uint64_t *word_at(const struct fbk_link *link, uint32_t index)
{
	return claim_at(peer_claims(&link->peer), index);
}

enum state { NEVER_HANDED, OFFERED, TAKEN, RETURNED, STATES };
#define WORDS 11

/* What somebody may write over the word of frame `sequence`. */
static uint64_t claim_lie(int number, uint64_t sequence)
{
	if (number < 4) {
		return sequence << 2 | (uint64_t)number;
	}
	if (number < 8) {
		return (sequence + 1) << 2 | (uint64_t)(number - 4);
	}
	return number == 8 ? (sequence - 1) << 2 | FBK_CLAIM_TAKEN : number == 9 ? 0 : UINT64_MAX;
}

START_TEST(claims_of_a_consumer)
{
	enum state state = (enum state)(_i / WORDS);
	struct fbk_frame *held = NULL;
	uint64_t sequence = 1;
	uint32_t index = PRODUCER_BUFFERS; /* no frame comes in it */
	if (state != NEVER_HANDED) {
		index = take();
		ck_assert_int_eq(hand(index), 2);
		ck_assert_int_eq(frame_release(local_next(&honest), 0), 0);
		sequence = fbk_timeline_value(producer.link->out.timeline);
	}
	if (state > OFFERED) {
		held = local_next(&liar);
	}
	if (state == RETURNED) {
		ck_assert_int_eq(frame_release(held, 0), 0);
		held = NULL;
	}
	atomic_store(word_at(liar.link, index), claim_lie(_i % WORDS, sequence));
	for (int i = 0; i < 10; i++) {
		expect_others(1);
		atomic_store(word_at(liar.link, index), claim_lie(_i % WORDS, sequence));
	}
	/* given back, or what it says of it counts no more */
	int r = held ? frame_release(held, 0) : 0;
	ck_assert(r == 0 || r == -ESTALE);
	expect_others(5);
	expect_next();
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, buffer_that_is_not_out);
	tcase_add_test(tcase, frame_from_the_future);
	tcase_add_test(tcase, frame_of_the_past);
	tcase_add_loop_test(tcase, payload_of_a_consumer_with_nothing, 0, PAYLOADS);
	tcase_add_loop_test(tcase, payload_of_a_consumer_with_frames, 0, PAYLOADS);
	tcase_add_loop_test(tcase, payload_of_a_consumer_that_gave_all_back, 0, PAYLOADS);
	tcase_add_test(tcase, payload_goes_back);
	tcase_add_loop_test(tcase, claims_of_a_consumer, 0, STATES * WORDS);
}

int main(void)
{
	return suite_main("frames, raw", add);
}
