// SPDX-License-Identifier: MIT
/* Rectangles and bytes that lie outside of their buffer: what a program says is refused with a sentence; and what a
 * producer writes to its lane by itself does not reach the consumer. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "client/lib/link/link.h"
#include "lib-stage.h"

#define SIZE        32   /* buffers are SIZE x SIZE, */
#define BYTES       4096 /* in one plane of that many */
#define BYTE_BUFFER PRODUCER_BUFFERS

static struct local local;
static struct fbk_frame_meta meta;

static void setup(void)
{
	struct fbk_buffer_desc bytes;
	stage_open(WAY_NATIVE, NULL);
	bytes = buffer_desc(&producer.buffers[0]);
	bytes.width = bytes.height = bytes.fourcc = 0;
	EXPECT(fbk_exchange_add(producer.exchange, BYTE_BUFFER, &bytes) == 0);
	local_open(&local, FBK_DELIVERY_FIFO, 2);
	meta = (struct fbk_frame_meta)FBK_FRAME_META_INIT;
}

static void teardown(void)
{
	local_close(&local);
	stage_close();
}

static int hand_meta(uint32_t index)
{
	return fbk_exchange_hand(producer.exchange, index, FBK_POINT_SIGNALLED, FBK_DEADLINE_MAX,
				 &meta, NULL, NULL);
}

static void expect_refused(uint32_t index, const char *part)
{
	ck_assert_int_eq(hand_meta(index), -EINVAL);
	ck_assert_msg(strstr(fbk_error_detail(), part) != NULL, "%s", fbk_error_detail());
}

/* It arrives as it is. */
static void expect_good(uint32_t index)
{
	ck_assert_msg(hand_meta(index) == 1, "%s", fbk_error_detail());
	struct fbk_frame *frame = local_next(&local);
	ck_assert_uint_eq(fbk_frame_index(frame), index);
	ck_assert_mem_eq(&fbk_frame_meta(frame)->crop, &meta.crop, sizeof(meta.crop));
	ck_assert_int_eq(frame_release(frame, 0), 0);
}

static const struct bad {
	struct fbk_rectangle rectangle;
	const char *part;
	bool always; /* also where the buffer has no size */
} bad[] = {
	{ { 0, 0, SIZE + 1, 1 }, "33x1 at 0,0 lies outside of 32x32", false },
	{ { 0, 0, 1, SIZE + 1 }, "1x33 at 0,0 lies outside of 32x32", false },
	{ { SIZE, 0, 1, 1 }, "1x1 at 32,0 lies", false },
	{ { 0, SIZE, 1, 1 }, "1x1 at 0,32 lies", false },
	{ { -1, 0, 1, 1 }, "at -1,0 lies", false },
	{ { 0, -1, 1, 1 }, "at 0,-1 lies", false },
	{ { INT32_MIN, 0, UINT32_MAX, 1 }, "4294967295x1 at -2147483648,0 lies", false },
	{ { 0, 0, (uint32_t)INT32_MAX + 1, 1 }, "2147483648x1 at 0,0 lies", true },
	{ { INT32_MAX, 0, 1, 1 }, "1x1 at 2147483647,0 lies", true },
	{ { 1, 0, UINT32_MAX, 1 }, "4294967295x1 at 1,0 lies", true },
	{ { 0, INT32_MAX, 1, UINT32_MAX }, "1x4294967295 at 0,2147483647 lies", true },
	{ { 5, 6, 1, 0 }, "1x0 at 5,6 is empty", true },
};

#define BAD (sizeof(bad) / sizeof(bad[0]))

START_TEST(crop)
{
	const struct bad *one = &bad[_i];
	meta.crop = one->rectangle;
	expect_refused(0, one->part);
	expect_refused(0, "buffer 0: the crop");
	if (one->always) {
		expect_refused(BYTE_BUFFER, "the crop");
	} else {
		expect_good(BYTE_BUFFER);
	}
	meta.crop = (struct fbk_rectangle){ 0, 0, SIZE, SIZE };
	expect_good(0);
	meta.crop = (struct fbk_rectangle){ SIZE - 1, SIZE - 1, 1, 1 };
	expect_good(0);
}
END_TEST

START_TEST(damage)
{
	const struct bad *one = &bad[_i];
	meta.damage_count = 3;
	meta.damage[0] = meta.damage[2] = (struct fbk_rectangle){ 0, 0, SIZE, SIZE };
	meta.damage[1] = one->rectangle;
	expect_refused(0, one->part);
	expect_refused(0, "buffer 0: damage");
	if (one->always) {
		expect_refused(BYTE_BUFFER, "damage");
	} else {
		expect_good(BYTE_BUFFER);
	}
	/* one without width would end the list on the way */
	meta.damage[1] = (struct fbk_rectangle){ 1, 2, 0, 3 };
	expect_refused(0, "0x3 at 1,2 is empty");
	expect_refused(BYTE_BUFFER, "0x3 at 1,2 is empty");
	meta.damage[1] = (struct fbk_rectangle){ SIZE - 1, SIZE - 1, 1, 1 };
	expect_good(0);
}
END_TEST

START_TEST(bytes)
{
	meta.bytes_used[0] = BYTES + 1;
	expect_refused(0, "buffer 0: 4097 bytes at 0 of plane 0: it has 4096");
	meta.bytes_used[0] = BYTES;
	expect_good(0);
	meta.data_offset[0] = 1;
	expect_refused(0, "4096 bytes at 1 of plane 0");
	meta.bytes_used[0] = BYTES - 1;
	expect_good(0);
	meta.data_offset[0] = UINT32_MAX;
	meta.bytes_used[0] = UINT32_MAX;
	expect_refused(0, "4294967295 bytes at 4294967295 of plane 0");
	meta.bytes_used[0] = 0; /* all of the plane, from there */
	expect_refused(0, "0 bytes at 4294967295 of plane 0");
	meta.data_offset[0] = BYTES;
	expect_good(0);
	meta.data_offset[0] = 0;
	meta.bytes_used[1] = 1;
	expect_refused(0, "1 bytes at 0 of plane 1: it has 0");
	ck_assert_int_eq(hand(0), 1); /* none of these handed it over */
}
END_TEST

/* ------------------------------------------------------------------------------- on the lane itself -- */

static void lane_hand(struct lane_frame *frame)
{
	struct fbk_link *link = producer.link;
	frame->sequence = fbk_timeline_value(link->out.timeline) + 1;
	frame->generation = 1;
	claim_offer(peer_claims(&link->peer), frame->index, frame->sequence);
	lane_frame_write(&link->out.page, frame);
	EXPECT(lane_raise(&link->out) == 0);
}

static void lane_hand_damaged(uint32_t index, const struct fbk_rectangle *rectangles,
			      uint32_t count)
{
	struct lane_frame frame = { .index = index, .parts = FBK_PART_DAMAGE };
	frame.damage_count = count;
	memcpy(frame.damage, rectangles, count * sizeof(*rectangles));
	lane_hand(&frame);
}

static bool within(const struct fbk_rectangle *r, int64_t first, int64_t end)
{
	return r->width > 0 && r->height > 0 && r->x >= first && r->y >= first &&
	       (int64_t)r->x + r->width <= end && (int64_t)r->y + r->height <= end;
}

/* Whatever they are, and however many are joined: what comes lies within. */
START_TEST(damage_on_the_lane)
{
	static const int32_t places[] = { INT32_MIN, INT32_MIN + 1, -1, 0, 1, SIZE, INT32_MAX };
	static const uint32_t lengths[] = { 1, SIZE, INT32_MAX, UINT32_MAX - 1, UINT32_MAX };
	uint64_t seed = 18;
	struct local mailbox;
	local_close(&local);
	local_open(&mailbox, FBK_DELIVERY_MAILBOX, 1);
	for (uint32_t round = 0; round < 3000; round++) {
		uint32_t index = round % 2 ? BYTE_BUFFER : 0;
		for (uint32_t i = 0; i < 1 + round % 2; i++) {
			struct fbk_rectangle r[FBK_DAMAGE_MAX];
			for (uint32_t k = 0; k < FBK_DAMAGE_MAX; k++) {
				r[k] = (struct fbk_rectangle){
					places[draw(&seed, 7)], places[draw(&seed, 7)],
					lengths[draw(&seed, 5)],
					draw(&seed, 9) ? lengths[draw(&seed, 5)] : 0
				};
			}
			lane_hand_damaged(i == round % 2 ? index : 1, r,
					  1 + draw(&seed, FBK_DAMAGE_MAX));
		}
		struct fbk_frame *frame = local_next(&mailbox);
		const struct fbk_frame_meta *got = fbk_frame_meta(frame);
		ck_assert_uint_eq(fbk_frame_index(frame), index);
		ck_assert_uint_le(got->damage_count, FBK_DAMAGE_MAX);
		for (uint32_t i = 0; i < got->damage_count; i++) {
			ck_assert(within(&got->damage[i], index ? INT32_MIN : 0,
					 index ? INT32_MAX : SIZE));
		}
		ck_assert_int_eq(frame_release(frame, 0), 0);
	}
	local_close(&mailbox);
	local_open(&local, FBK_DELIVERY_FIFO, 2);
}
END_TEST

/* Crop and bytes end the link: the consumer's image would be another. The next consumer works. */
static void expect_end(const struct lane_frame *lie, const char *part)
{
	struct fbk_link_info info = { .struct_size = sizeof(info) };
	struct lane_frame frame = *lie;
	struct local liar;
	local_open(&liar, FBK_DELIVERY_FIFO, 2);
	lane_hand(&frame);
	ck_assert_int_eq(local_try(&liar), -EPIPE);
	ck_assert_msg(strstr(fbk_link_cause(liar.link), part) != NULL, "%s",
		      fbk_link_cause(liar.link));
	EXPECT(fbk_link_info(producer.link, &info) == 0);
	ck_assert_int_eq(info.error, -EPROTO);
	ck_assert_msg(strstr(info.cause, part) != NULL, "%s", info.cause);
	local_close(&liar);
	local_open(&local, FBK_DELIVERY_FIFO, 2);
	ck_assert_int_eq(hand(take()), 1);
	ck_assert_int_eq(frame_release(local_next(&local), 0), 0);
	local_close(&local);
}

START_TEST(crop_on_the_lane)
{
	local_close(&local);
	expect_end(&(struct lane_frame){ .parts = FBK_PART_CROP, .crop = { -1, 0, 1, 1 } },
		   "buffer 0: the crop 1x1 at -1,0 lies outside of 32x32");
	expect_end(&(struct lane_frame){ .parts = FBK_PART_CROP, .crop = { 0, 0, 33, 1 } },
		   "buffer 0: the crop 33x1 at 0,0 lies outside of 32x32");
	expect_end(&(struct lane_frame){ .parts = FBK_PART_PLANES, .planes = { { 1, BYTES } } },
		   "buffer 0: 4096 bytes at 1 of plane 0");
	expect_end(&(struct lane_frame){ .parts = FBK_PART_PLANES, .planes = { [3] = { 0, 1 } } },
		   "buffer 0: 1 bytes at 0 of plane 3");
	local_open(&local, FBK_DELIVERY_FIFO, 2);
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, crop, 0, BAD);
	tcase_add_loop_test(tcase, damage, 0, BAD);
	tcase_add_test(tcase, bytes);
	tcase_add_test(tcase, damage_on_the_lane);
	tcase_add_test(tcase, crop_on_the_lane);
}

int main(void)
{
	return suite_main("what lies outside of a buffer", add);
}
