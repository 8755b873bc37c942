// SPDX-License-Identifier: MIT
/* The tables of a link: geometries, frames and returns as they are written and read, also while both happen, and claims
 * of which one of two has each. */
#include "proto/lane.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "tests/suite.h"

#define SLOTS  8
#define ROUNDS 200000

static struct lane_page out, back;
static struct claim_page page_of_claims;
static const struct claim_page *claims = &page_of_claims;

static void *page_of(bool producer, struct lane_page *ret_page)
{
	struct lane_geometry geometry = lane_geometry_of(producer, SLOTS);
	uint64_t size = lane_page_size(&geometry);
	void *memory = aligned_alloc(64, size);
	memset(memory, 0, size);
	ck_assert_int_eq(lane_page_init(ret_page, memory, size, &geometry), 0);
	return memory;
}

static void setup(void)
{
	page_of(true, &out);
	page_of(false, &back);
	page_of_claims = (struct claim_page){ aligned_alloc(64, 8192), 256, 128 }; /* a later one */
	memset(page_of_claims.memory, 0, 8192);
}

static void teardown(void)
{
	free(out.memory);
	free(back.memory);
	free(page_of_claims.memory);
}

/* ----------------------------------------------------------------------------------- geometry -- */

START_TEST(geometries)
{
	struct lane_page page;
	for (int producer = 0; producer < 2; producer++) {
		const struct lane_geometry good = lane_geometry_of(producer, 64);
		uint64_t size = lane_page_size(&good);
		ck_assert_int_eq(lane_page_init(&page, out.memory, size, &good), 0);
		ck_assert_int_eq(lane_page_init(&page, out.memory, size / 2, &good), -EPROTO);
		struct lane_geometry bad = good;
		bad.slots = 0;
		ck_assert_int_eq(lane_page_init(&page, out.memory, size, &bad), -EPROTO);
		bad = good;
		bad.slots = FBK_LANE_SLOTS_MAX + 1;
		ck_assert_int_eq(lane_page_init(&page, out.memory, UINT64_MAX, &bad), -EPROTO);
		bad = good;
		bad.first = FBK_LANE_FIRST - 64;
		ck_assert_int_eq(lane_page_init(&page, out.memory, size, &bad), -EPROTO);
		bad = good;
		bad.first = UINT32_MAX - 63;
		ck_assert_int_eq(lane_page_init(&page, out.memory, size, &bad), -EPROTO);
		bad = good;
		bad.stride -= 64;
		ck_assert_int_eq(lane_page_init(&page, out.memory, size, &bad), -EPROTO);
		bad = good;
		bad.stride += 1;
		ck_assert_int_eq(lane_page_init(&page, out.memory, size * 2, &bad), -EPROTO);
		bad = good;
		bad.head = 64; /* in the header */
		ck_assert_int_eq(lane_page_init(&page, out.memory, size, &bad), -EPROTO);
		bad.head = 260;
		ck_assert_int_eq(lane_page_init(&page, out.memory, size, &bad), -EPROTO);
		bad.head = (uint32_t)size;
		ck_assert_int_eq(lane_page_init(&page, out.memory, size, &bad), -EPROTO);
		bad = good;
		bad.stride += 64; /* a later version's */
		ck_assert_int_eq(lane_page_init(&page, out.memory, size * 2, &bad), 0);
	}
	struct lane_geometry bad = lane_geometry_of(true, 64);
	uint64_t size = lane_page_size(&bad);
	bad.order_length = 96;
	ck_assert_int_eq(lane_page_init(&page, out.memory, size, &bad), -EPROTO);
	bad.order_length = 32; /* fewer than slots */
	ck_assert_int_eq(lane_page_init(&page, out.memory, size, &bad), -EPROTO);
	bad = lane_geometry_of(true, 64);
	bad.order = UINT32_MAX - 3;
	ck_assert_int_eq(lane_page_init(&page, out.memory, size, &bad), -EPROTO);
	bad.order = 128;
	ck_assert_int_eq(lane_page_init(&page, out.memory, size, &bad), -EPROTO);
}
END_TEST

/* ------------------------------------------------------------------------------------- frames -- */

/* Every word follows from the number. */
static struct lane_frame frame_of(uint64_t sequence, uint32_t index, uint32_t parts)
{
	uint32_t n = (uint32_t)sequence;
	struct lane_frame frame = {
		.sequence = sequence,
		.index = index,
		.generation = n,
		.value = sequence + 1,
		.timeline = n + 2,
		.incarnation = n + 3,
		.deadline_ns = sequence + 4,
		.handed_ns = sequence + 3,
		.flags = n + 5,
		.field_order = n + 6,
		.parts = parts,
	};
	if (parts & FBK_PART_TIMES) {
		frame.pts_ns = (int64_t)sequence + 7;
		frame.dts_ns = -(int64_t)sequence;
		frame.duration_ns = INT64_MIN;
		frame.capture_ns = (int64_t)sequence + 8;
		frame.capture = n + 9;
	}
	if (parts & FBK_PART_CROP) {
		frame.transform = n + 10;
		frame.crop = (struct lane_rectangle){ -(int32_t)n, 1, n + 11, n + 12 };
	}
	for (uint32_t i = 0; parts & FBK_PART_PLANES && i < 4; i++) {
		frame.planes[i] = (struct lane_plane){ n + i, n + 13 + i };
	}
	for (uint32_t i = 0; parts & FBK_PART_USER && i < FBK_FRAME_USER_MAX / 8; i++) {
		frame.user[i] = sequence + i;
	}
	if (parts & FBK_PART_DAMAGE) {
		frame.damage_count = n % (FBK_DAMAGE_MAX + 1);
		for (uint32_t i = 0; i < frame.damage_count; i++) {
			frame.damage[i] =
				(struct lane_rectangle){ (int32_t)i, (int32_t)n, n + 1, i };
		}
	}
	return frame;
}

START_TEST(frames_as_written)
{
	uint64_t sequence = 1;
	for (uint32_t parts = 0; parts < 32; parts++) {
		for (uint32_t i = 0; i <= FBK_DAMAGE_MAX; i++, sequence++) {
			struct lane_frame read;
			uint32_t index = (uint32_t)sequence % SLOTS, found;
			struct lane_frame written = frame_of(sequence, index, parts);
			lane_frame_write(&out, &written);
			ck_assert_int_eq(lane_order_read(&out, sequence, &found), 0);
			ck_assert_uint_eq(found, index);
			ck_assert_uint_eq(lane_frame_sequence(&out, index), sequence);
			ck_assert(lane_frame_read(&out, index, sequence, &read));
			ck_assert_mem_eq(&read, &written, sizeof(read));
			ck_assert(!lane_frame_read(&out, index, sequence - 1, &read));
			ck_assert(!lane_frame_read(&out, index, sequence + SLOTS, &read));
			ck_assert(!lane_frame_read(&out, index, 0, &read));
		}
	}
}
END_TEST

START_TEST(order_that_lies)
{
	uint32_t index = 77;
	struct lane_frame frame = frame_of(5, 3, 0);
	lane_frame_write(&out, &frame);
	_Atomic uint32_t *places = (_Atomic uint32_t *)(void *)(out.memory + out.geometry.order);
	uint32_t length = out.geometry.order_length;
	ck_assert_uint_eq(length, 2 * SLOTS);
	places[5] = SLOTS;
	ck_assert_int_eq(lane_order_read(&out, 5, &index), -ENOENT);
	ck_assert_int_eq(lane_order_read(&out, 5 + length, &index), -ENOENT);
	places[5] = UINT32_MAX;
	ck_assert_int_eq(lane_order_read(&out, 5, &index), -ENOENT);
	ck_assert_uint_eq(index, 77);
}
END_TEST

START_TEST(returns_as_written)
{
	struct lane_return read;
	for (uint32_t index = 0; index < SLOTS; index++) {
		struct lane_return written = {
			index + 1U, index, FBK_RELEASE_BROKERED, 9, 2, -EIO
		};
		ck_assert_uint_eq(lane_returned(&back, index), 0);
		lane_taken_write(&back, index, index + 1U);
		ck_assert_uint_eq(lane_taken(&back, index), index + 1U);
		lane_return_write(&back, &written);
		ck_assert_uint_eq(lane_returned(&back, index), index + 1U);
		ck_assert(lane_return_read(&back, index, index + 1U, &read));
		ck_assert_mem_eq(&read, &written, sizeof(read));
		ck_assert(!lane_return_read(&back, index, index + 2U, &read));
	}
}
END_TEST

/* One writes the same slot again and again; what another reads is one frame or none, never a mixture. */
static void *frames_write(void *arg)
{
	(void)arg;
	for (uint64_t sequence = 1; sequence <= ROUNDS; sequence++) {
		struct lane_frame frame = frame_of(sequence, 2, (uint32_t)sequence % 32);
		lane_frame_write(&out, &frame);
	}
	return NULL;
}

START_TEST(never_a_mixture)
{
	pthread_t writer;
	uint64_t last = 0, seen = 0;
	ck_assert_int_eq(pthread_create(&writer, NULL, frames_write, NULL), 0);
	while (last < ROUNDS) {
		struct lane_frame read;
		uint64_t sequence = lane_frame_sequence(&out, 2);
		ck_assert(sequence == 0 || sequence >= last);
		last = sequence > last ? sequence : last;
		if (lane_frame_read(&out, 2, sequence, &read)) {
			struct lane_frame expected = frame_of(sequence, 2, (uint32_t)sequence % 32);
			ck_assert_mem_eq(&read, &expected, sizeof(read));
			seen++;
		}
	}
	pthread_join(writer, NULL);
	ck_assert_uint_gt(seen, 0);
}
END_TEST

/* ------------------------------------------------------------------------------------- claims -- */

START_TEST(claims_decide_once)
{
	for (uint64_t sequence = 1; sequence < 100; sequence++) {
		ck_assert_int_eq(claim_of(claims, 1, sequence), FBK_CLAIM_NONE);
		ck_assert(!claim_take(claims, 1, sequence));
		claim_offer(claims, 1, sequence);
		ck_assert_int_eq(claim_of(claims, 1, sequence), FBK_CLAIM_OFFERED);
		ck_assert(!claim_take(claims, 1, sequence - 1));
		ck_assert(!claim_retract(claims, 1, sequence + 1));
		if (sequence % 2) {
			ck_assert(claim_take(claims, 1, sequence));
			ck_assert_int_eq(claim_of(claims, 1, sequence), FBK_CLAIM_TAKEN);
		} else {
			ck_assert(claim_retract(claims, 1, sequence));
			ck_assert_int_eq(claim_of(claims, 1, sequence), FBK_CLAIM_RETRACTED);
		}
		ck_assert(!claim_take(claims, 1, sequence));
		ck_assert(!claim_retract(claims, 1, sequence));
		ck_assert_int_eq(claim_of(claims, 0, sequence), FBK_CLAIM_NONE);
	}
	claim_offer(claims, 3, (UINT64_C(1) << 62) - 1); /* the last point */
	ck_assert(claim_take(claims, 3, (UINT64_C(1) << 62) - 1));
}
END_TEST

static pthread_barrier_t start;
static uint8_t taken[ROUNDS / 10], retracted[ROUNDS / 10];

static void *claims_take(void *arg)
{
	(void)arg;
	for (uint64_t i = 0; i < sizeof(taken); i++) {
		pthread_barrier_wait(&start);
		taken[i] = claim_take(claims, 5, i + 1);
		pthread_barrier_wait(&start);
	}
	return NULL;
}

START_TEST(one_winner)
{
	pthread_t taker;
	unsigned int wins = 0;
	pthread_barrier_init(&start, NULL, 2);
	ck_assert_int_eq(pthread_create(&taker, NULL, claims_take, NULL), 0);
	for (uint64_t i = 0; i < sizeof(taken); i++) {
		claim_offer(claims, 5, i + 1);
		pthread_barrier_wait(&start);
		retracted[i] = claim_retract(claims, 5, i + 1);
		pthread_barrier_wait(&start);
		ck_assert_uint_eq(taken[i] + retracted[i], 1);
		wins += taken[i];
	}
	pthread_join(taker, NULL);
	pthread_barrier_destroy(&start);
	ck_assert_uint_le(wins, sizeof(taken));
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, geometries);
	tcase_add_test(tcase, frames_as_written);
	tcase_add_test(tcase, order_that_lies);
	tcase_add_test(tcase, returns_as_written);
	tcase_add_test(tcase, never_a_mixture);
	tcase_add_test(tcase, claims_decide_once);
	tcase_add_test(tcase, one_winner);
}

int main(void)
{
	return suite_main("lane", add);
}
