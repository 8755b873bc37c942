// SPDX-License-Identifier: MIT
/* Consumers that write lies to their lanes: an error that names it ends their own link, and no other. */
#include <errno.h>
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
	ck_assert_int_eq(info.phase, FBK_LINK_OFFERED);
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

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, buffer_that_is_not_out);
	tcase_add_test(tcase, frame_from_the_future);
	tcase_add_test(tcase, frame_of_the_past);
}

int main(void)
{
	return suite_main("frames, raw", add);
}
