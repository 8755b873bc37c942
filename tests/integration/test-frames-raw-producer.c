// SPDX-License-Identifier: MIT
/* Producers that write lies to their lane, its order, its slots and the claim words: the consumer goes on, or gets an
 * error that names it; so do the consumers of its other links, and the next. */
#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "client/lib/link/link-point.h"
#include "lib-stage.h"

static struct local local, honest;
static struct fbk_link *second;
static int offer2;

static void setup(void)
{
	stage_open(WAY_NATIVE, NULL);
	EXPECT(link_offer(producer.device, FBK_ROLE_PRODUCER, &offer2, &second) == 0);
	EXPECT(fbk_exchange_attach(producer.exchange, second) == 0);
	local_open(&local, FBK_DELIVERY_FIFO, 3);
	local_open_at(&honest, offer2, second, FBK_DELIVERY_FIFO, 3);
	EXPECT(fbk_link_wait(local.link, deadline_ms(PATIENCE_MS)) == 0);
}

static void teardown(void)
{
	local_close(&honest);
	local_close(&local);
	fbk_link_close(second);
	close(offer2);
	stage_close();
}

static const struct lane_page *lane(void)
{
	return &producer.link->out.page;
}

static _Atomic uint64_t *word_at(uint32_t index)
{
	return claim_at(peer_claims(&producer.link->peer), index);
}

static struct fbk_frame_slot *slot_at(uint32_t index)
{
	return (struct fbk_frame_slot *)(void *)(lane()->memory + lane()->geometry.first +
						 (size_t)index * lane()->geometry.stride);
}

static _Atomic uint32_t *order_at(uint64_t sequence)
{
	return (_Atomic uint32_t *)(void *)(lane()->memory + lane()->geometry.order) +
	       (sequence & (lane()->geometry.order_length - 1));
}

static void payload_write(uint64_t payload)
{
	struct fbk_timeline *timeline = producer.link->out.timeline;
	atomic_store(timeline->payload, payload);
	atomic_store(&timeline->last, payload);
}

static uint64_t handed(void)
{
	return fbk_timeline_value(producer.link->out.timeline);
}

/* A frame as the library hands it over, on this link alone. */
static struct lane_frame frame_of(uint32_t index, uint64_t sequence)
{
	return (struct lane_frame){ .index = index, .sequence = sequence, .generation = 1 };
}

static void lane_hand(const struct lane_frame *frame)
{
	claim_offer(peer_claims(&producer.link->peer), frame->index, frame->sequence);
	lane_frame_write(lane(), frame);
	payload_write(frame->sequence);
	producer.link->next = frame->sequence + 1;
}

/* The consumer of the other link sees nothing of it. */
static void expect_other(void)
{
	struct fbk_link_info info = { .struct_size = sizeof(info) };
	EXPECT(fbk_link_info(honest.link, &info) == 0);
	ck_assert_int_eq(info.phase, FBK_PHASE_ESTABLISHED);
	ck_assert_int_ge(hand(2), 1);
	ck_assert_int_eq(frame_release(local_next(&honest), 0), 0);
}

/* The same for the next one at this offer. */
static void expect_next(void)
{
	struct local next;
	local_close(&local);
	local_open(&next, FBK_DELIVERY_FIFO, 3);
	for (uint32_t i = 0; i < PRODUCER_BUFFERS; i++) {
		ck_assert_int_eq(hand(i), 2);
		ck_assert_int_eq(frame_release(local_next(&next), 0), 0);
		ck_assert_int_eq(frame_release(local_next(&honest), 0), 0);
	}
	local_close(&next);
	local_open(&local, FBK_DELIVERY_FIFO, 3);
}

/* ------------------------------------------------------------------- a timeline that is shown later -- */

static void show_later(struct local *other)
{
	struct lane_frame frame = frame_of(0, handed() + 1);
	struct fbk_frame *got;
	frame.timeline = 9;
	frame.incarnation = 3;
	frame.value = 1;
	lane_hand(&frame);
	int r = fbk_link_next(other->link, deadline_ms(20), &got);
	ck_assert_msg(r == -ETIMEDOUT, "%d: %s", r, fbk_error_detail());
	lane_stopped_write(lane()); /* it comes all the same */
	r = fbk_link_next(other->link, deadline_ms(20), &got);
	ck_assert_msg(r == -ETIMEDOUT, "stopped: %d: %s", r, fbk_error_detail());
	ck_assert_int_eq(link_show(producer.link, 9, 3, producer.timeline), 0);
	ck_assert_int_eq(fbk_timeline_signal(producer.timeline, 1), 0);
	got = local_next(other);
	ck_assert_uint_eq(fbk_frame_acquire(got).value, 1);
	ck_assert_int_eq(fbk_frame_error(got), 0);
	ck_assert_int_eq(frame_release(got, 0), 0);
}

/* The consumer asks the daemon before that has heard from the producer: the frame comes when it has. */
START_TEST(shown_later)
{
	struct local mailbox;
	if (_i == 0) {
		show_later(&local);
	} else {
		local_close(&local);
		local_open(&mailbox, FBK_DELIVERY_MAILBOX, 3);
		show_later(&mailbox);
		local_close(&mailbox);
		local_open(&local, FBK_DELIVERY_FIFO, 3);
	}
}
END_TEST

/* ------------------------------------------------------------------------------ the lane's payload -- */

static const uint64_t payloads[] = {
	FBK_POINT_MAX - 1, FBK_POINT_MAX, FBK_POISON << 1, (FBK_POISON << 1) - 1,
	UINT64_MAX,        FBK_POISON,    FBK_POISON | 1,  FBK_POISON | (FBK_POISON - 1),
};

#define PAYLOADS (sizeof(payloads) / sizeof(payloads[0]))

/* A lane that nobody can follow ends for its consumer; who comes next is refused with a sentence. */
START_TEST(payload)
{
	struct fbk_link *link;
	payload_write(payloads[_i]);
	struct fbk_frame *frame = NULL;
	ck_assert_int_eq(fbk_link_next(local.link, deadline_ms(PATIENCE_MS), &frame), -EPIPE);
	ck_assert_msg(strstr(fbk_link_cause(local.link), "its count of frames") != NULL, "%s",
		      fbk_link_cause(local.link));
	expect_other();
	local_close(&local);
	int r = link_accept(honest.device, offer, &link);
	ck_assert_int_eq(r, -EPIPE);
	ck_assert_msg(strstr(fbk_error_detail(), "has broken it") != NULL, "%s",
		      fbk_error_detail());
	expect_other();
	/* its producer offers another */
	struct fbk_link *third;
	int offer3;
	EXPECT(link_offer(producer.device, FBK_ROLE_PRODUCER, &offer3, &third) == 0);
	EXPECT(fbk_exchange_attach(producer.exchange, third) == 0);
	local_open_at(&local, offer3, third, FBK_DELIVERY_FIFO, 3);
	ck_assert_int_eq(hand(0), 2);
	ck_assert_int_eq(frame_release(local_next(&local), 0), 0);
	fbk_link_close(third);
	close(offer3);
}
END_TEST

/* High, and with nothing in it: the next frame that is there comes. */
START_TEST(payload_runs_ahead)
{
	payload_write(100000);
	ck_assert_int_eq(local_try(&local), -ETIMEDOUT);
	producer.link->next = 100001;
	ck_assert_int_eq(hand(0), 2);
	ck_assert_int_eq(frame_release(local_next(&local), 0), 0);
	ck_assert_int_eq(frame_release(local_next(&honest), 0), 0);
	expect_other();
	ck_assert_int_eq(frame_release(local_next(&local), 0), 0);
	expect_next();
}
END_TEST

/* ---------------------------------------------------------------------------------- the claim words -- */

enum state { NEVER_HANDED, OFFERED, TAKEN, RETURNED, STATES };
#define WORDS 11

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

START_TEST(claims)
{
	enum state state = (enum state)(_i / WORDS);
	struct fbk_frame *held = NULL;
	uint64_t sequence = 1;
	if (state != NEVER_HANDED) {
		ck_assert_int_eq(hand(0), 2);
		ck_assert_int_eq(frame_release(local_next(&honest), 0), 0);
		sequence = handed();
	}
	if (state > OFFERED) {
		held = local_next(&local);
	}
	if (state == RETURNED) {
		ck_assert_int_eq(frame_release(held, 0), 0);
		held = NULL;
	}
	atomic_store(word_at(0), claim_lie(_i % WORDS, sequence));
	if (held) {
		/* another word than TAKEN is an abandoned frame */
		int r = frame_release(held, 0);
		ck_assert_int_eq(r, _i % WORDS == FBK_CLAIM_TAKEN ? 0 : -ESTALE);
	} else {
		int r = local_try(&local);
		bool offered = state == OFFERED && _i % WORDS == FBK_CLAIM_OFFERED;
		ck_assert_int_eq(r, offered ? 0 : -ETIMEDOUT);
	}
	for (uint32_t i = 0; i < 5; i++) { /* other buffers go on */
		ck_assert_int_eq(hand(1), 2);
		ck_assert_int_eq(frame_release(local_next(&local), 0), 0);
		ck_assert_int_eq(frame_release(local_next(&honest), 0), 0);
	}
	expect_next();
}
END_TEST

/* ------------------------------------------------------------------------------ the order, the slots -- */

/* The order ring says another index, or none: that frame is passed over, and the next one comes. */
START_TEST(order)
{
	static const uint32_t lies[] = { 1, 2, 63, 64, 65, 127, 1024, INT32_MAX, UINT32_MAX };
	static const uint32_t count = sizeof(lies) / sizeof(lies[0]);
	for (uint32_t i = 0; i < count; i++) {
		ck_assert_int_eq(hand(0), 2);
		atomic_store(order_at(handed()), lies[i]);
		ck_assert_int_eq(frame_release(local_next(&honest), 0), 0);
		ck_assert_int_eq(local_try(&local), -ETIMEDOUT);
		ck_assert_int_eq(hand(1), 2);
		struct fbk_frame *frame = local_next(&local);
		ck_assert_uint_eq(fbk_frame_index(frame), 1);
		ck_assert_int_eq(frame_release(frame, 0), 0);
		ck_assert_int_eq(frame_release(local_next(&honest), 0), 0);
		expect_next();
	}
}
END_TEST

/* All entries, while a mailbox merges damage of the frames that it passes over. */
START_TEST(order_of_passed_frames)
{
	local_close(&local);
	local_open(&local, FBK_DELIVERY_MAILBOX, 1);
	for (uint32_t round = 0; round < 8; round++) {
		for (uint32_t i = 0; i < PRODUCER_BUFFERS; i++) {
			struct lane_frame frame = frame_of(i, handed() + 1);
			lane_hand(&frame);
		}
		for (uint32_t i = 0; i < lane()->geometry.order_length; i++) {
			atomic_store(order_at(i), round * 37 + i * 101);
		}
		struct fbk_frame *frame = local_next(&local);
		ck_assert_uint_eq(fbk_frame_sequence(frame), handed());
		ck_assert_uint_eq(fbk_frame_meta(frame)->damage_count, 0);
		ck_assert_int_eq(frame_release(frame, 0), 0);
	}
}
END_TEST

/* Its number never becomes that of the frame. Who waits sleeps, for as long as was asked. */
START_TEST(slot_that_is_being_written)
{
	enum fbk_delivery delivery = _i ? FBK_DELIVERY_MAILBOX : FBK_DELIVERY_FIFO;
	static const uint64_t numbers[] = { 0, 1000, FBK_POINT_MAX, FBK_POISON << 1, UINT64_MAX };
	local_close(&local);
	local_open(&local, delivery, 3);
	for (uint32_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		struct lane_frame frame = frame_of(0, handed() + 1);
		lane_hand(&frame);
		atomic_store(&slot_at(0)->sequence, numbers[i]);
		atomic_store(word_at(0), numbers[i] << 2 | FBK_CLAIM_OFFERED);
		ck_assert_int_eq(local_try(&local), -ETIMEDOUT);
		ck_assert_int_eq(
			fbk_link_next(local.link, deadline_ms(20), &(struct fbk_frame *){ 0 }),
			-ETIMEDOUT);
	}
	ck_assert_int_eq(hand(1), 2);
	ck_assert_int_eq(frame_release(local_next(&local), 0), 0);
	ck_assert_int_eq(frame_release(local_next(&honest), 0), 0);
	expect_next();
}
END_TEST

/* ------------------------------------------------------------------------------- what a slot says -- */

static const struct lie {
	struct lane_frame frame;
	int error; /* of fbk_link_next(); 0: a frame that failed, of a timeline that was closed */
	const char *part;
} lies[] = {
	{ { .index = 63, .generation = 1 }, -EPIPE, "there is no buffer 63" },
	{ { .index = 0, .generation = 7 }, -EPIPE, "buffer 0 is not the one" },
	{ { .index = 0, .generation = 1, .timeline = 9, .value = 1, .incarnation = 1 }, 0, "" },
	{ { .index = 0, .generation = 1, .timeline = 65, .value = 1 }, -EPIPE, "is invalid" },
	{ { .index = 0, .generation = 1, .timeline = UINT32_MAX, .value = 1 }, -EPIPE, "invalid" },
	{ { .index = 0, .generation = 1, .timeline = 1, .value = 0 }, -EPIPE, "is invalid" },
	{ { .index = 0, .generation = 1, .timeline = 1, .value = FBK_POISON },
	  -EPIPE,
	  "is invalid" },
	{ { .index = 0, .generation = 1, .timeline = 1, .value = UINT64_MAX },
	  -EPIPE,
	  "is invalid" },
};

#define LIES (sizeof(lies) / sizeof(lies[0]))

/* A frame comes, with that error, and is released. */
static int local_try_failed(struct local *end, int error)
{
	struct fbk_frame *frame = NULL;
	int r = fbk_link_next(end->link, 0, &frame);
	if (r == 0) {
		ck_assert_int_eq(fbk_frame_error(frame), error);
		ck_assert_int_eq(fbk_point_wait(fbk_frame_acquire(frame), 0), -ETIMEDOUT);
		fbk_frame_unref(frame);
	}
	return r;
}

static void show_gone(uint32_t number, uint32_t incarnation)
{
	struct fbk_timeline_info info = { .struct_size = sizeof(info) };
	struct fbk_timeline *gone = peer_timeline(producer.device, "gone", 0);
	ck_assert_int_eq(link_show(producer.link, number, incarnation, gone), 0);
	fbk_timeline_close(gone);
	EXPECT(fbk_timeline_info(producer.timeline, &info) == 0); /* the daemon knows by now */
}

START_TEST(slot)
{
	const struct lie *lie = &lies[_i];
	struct lane_frame frame = lie->frame;
	frame.sequence = handed() + 1;
	if (lie->error == 0) {
		show_gone(frame.timeline, frame.incarnation);
	}
	lane_hand(&frame);
	ck_assert_int_eq(lie->error == 0 ? local_try_failed(&local, -EPIPE) : local_try(&local),
			 lie->error);
	ck_assert_msg(strstr(fbk_error_detail(), lie->part) != NULL, "%s", fbk_error_detail());
	if (lie->error == -EPIPE) {
		struct fbk_link_info info = { .struct_size = sizeof(info) };
		EXPECT(fbk_link_info(producer.link, &info) == 0);
		ck_assert_int_eq(info.error, -EPROTO);
		ck_assert_msg(strstr(info.cause, lie->part) != NULL, "%s", info.cause);
	}
	expect_other();
	expect_next();
}
END_TEST

/* A second frame in a buffer that is held. */
START_TEST(buffer_that_is_held)
{
	ck_assert_int_eq(hand(0), 2);
	struct fbk_frame *held = local_next(&local);
	ck_assert_int_eq(frame_release(local_next(&honest), 0), 0);
	struct lane_frame frame = frame_of(0, handed() + 1);
	lane_hand(&frame);
	ck_assert_int_eq(local_try(&local), -EPIPE);
	ck_assert(strstr(fbk_link_cause(local.link), "buffer 0, which is here already") != NULL);
	ck_assert_int_eq(frame_release(held, 0), -ESTALE);
	expect_other();
	expect_next();
}
END_TEST

/* ------------------------------------------------------------------------- an offer of the consumer's -- */

/* Numbers that a producer makes up stay with the consumer that gives them back, and the next producer counts from
 * there: it must find room. */
START_TEST(numbers_for_the_next_producer)
{
	static const uint64_t numbers[] = { UINT64_C(1) << 32, FBK_POINT_MAX / 2,
					    FBK_POINT_MAX - 2 };
	struct fbk_exchange *exchange;
	struct fbk_link *end, *first;
	int fd;
	EXPECT(link_offer(local.device, FBK_ROLE_CONSUMER, &fd, &end) == 0);
	for (int round = 0; round < 2; round++) {
		EXPECT(link_accept(producer.device, fd, &first) == 0);
		EXPECT(fbk_exchange_create(first, &exchange) == 0);
		struct fbk_buffer_desc desc = buffer_desc(&producer.buffers[0]);
		EXPECT(fbk_exchange_add(exchange, 0, &desc) == 0);
		EXPECT(fbk_link_wait(first, deadline_ms(PATIENCE_MS)) == 0);
		EXPECT(fbk_link_wait(end, deadline_ms(PATIENCE_MS)) == 0);
		struct fbk_frame *frame = NULL;
		if (round == 0) {
			struct lane_frame lie = frame_of(0, numbers[_i]);
			claim_offer(peer_claims(&first->peer), 0, lie.sequence);
			lane_frame_write(&first->out.page, &lie);
			atomic_store(first->out.timeline->payload, lie.sequence);
			int r = fbk_link_next(end, 0, &frame);
			/* the offer lives on without a producer that lies */
			ck_assert(r == 0 ? frame_release(frame, 0) == 0 : r == -ETIMEDOUT);
		} else {
			ck_assert_int_eq(fbk_exchange_hand(exchange, 0, FBK_POINT_SIGNALLED,
							   FBK_DEADLINE_MAX, NULL, NULL, NULL),
					 1);
			int r = fbk_link_next(end, deadline_ms(PATIENCE_MS), &frame);
			ck_assert_msg(r == 0, "%s", fbk_error_detail());
			ck_assert_int_eq(frame_release(frame, 0), 0);
		}
		fbk_exchange_destroy(exchange);
		fbk_link_close(first);
	}
	fbk_link_close(end);
	close(fd);
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, payload, 0, PAYLOADS);
	tcase_add_test(tcase, payload_runs_ahead);
	tcase_add_loop_test(tcase, shown_later, 0, 2);
	tcase_add_loop_test(tcase, claims, 0, STATES * WORDS);
	tcase_add_test(tcase, order);
	tcase_add_test(tcase, order_of_passed_frames);
	tcase_add_loop_test(tcase, slot_that_is_being_written, 0, 2);
	tcase_add_loop_test(tcase, slot, 0, LIES);
	tcase_add_test(tcase, buffer_that_is_held);
	tcase_add_loop_test(tcase, numbers_for_the_next_producer, 0, 3);
}

int main(void)
{
	return suite_main("frames, raw, of a producer", add);
}
