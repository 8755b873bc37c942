// SPDX-License-Identifier: MIT
/* What a program asks of its own end and may not: an error that names it, and nothing else happens. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "lib-stage.h"

static struct local local;

static void setup(void)
{
	stage_open(WAY_NATIVE, NULL);
	local_open(&local, FBK_DELIVERY_FIFO, 3);
}

static void teardown(void)
{
	/* all is as it was */
	ck_assert_int_eq(hand(take()), 1);
	ck_assert_int_eq(frame_release(local_next(&local), 0), 0);
	local_close(&local);
	stage_close();
}

static void expect(int result, int error, const char *part)
{
	ck_assert_int_eq(result, error);
	ck_assert_msg(strstr(fbk_error_detail(), part) != NULL, "%s", fbk_error_detail());
}

START_TEST(abandon)
{
	expect(fbk_exchange_abandon(producer.exchange, 2), -EINVAL, "buffer 2 is not out");
	uint32_t index = take();
	expect(fbk_exchange_abandon(producer.exchange, index), -EINVAL, "buffer 0 is not out");
	expect(fbk_exchange_abandon(producer.exchange, FBK_BUFFERS_MAX), -EINVAL, "buffer 64");
	ck_assert_int_eq(hand(index), 1);
	ck_assert_int_eq(frame_release(local_next(&local), 0), 0);
	expect(fbk_exchange_abandon(producer.exchange, index), -EINVAL, "buffer 0 is not out");
}
END_TEST

START_TEST(pause_of_a_producer)
{
	expect(fbk_link_pause(producer.link, true), -EPERM, "producer's");
	expect(fbk_link_pause(producer.link, false), -EPERM, "producer's");
}
END_TEST

START_TEST(hold)
{
	static const uint32_t holds[] = { FBK_BUFFERS_MAX + 1, INT32_MAX, UINT32_MAX };
	static const char *const parts[] = { "holds 65 frames: at most 64", "holds 2147483647 ",
					     "holds 4294967295 " };
	struct fbk_link *offered, *link;
	int fd;
	EXPECT(link_offer(producer.device, FBK_ROLE_PRODUCER, &fd, &offered) == 0);
	for (int i = 0; i < 3; i++) {
		expect(link_accept_as(local.device, fd, FBK_DELIVERY_FIFO, holds[i], &link),
		       -EINVAL, parts[i]);
	}
	ck_assert_int_eq(
		link_accept_as(local.device, fd, FBK_DELIVERY_FIFO, FBK_BUFFERS_MAX, &link), 0);
	fbk_link_close(link);
	fbk_link_close(offered);
	close(fd);
}
END_TEST

START_TEST(depth)
{
	static const uint32_t depths[] = { FBK_BUFFERS_MAX + 1, INT32_MAX, UINT32_MAX };
	static const char *const parts[] = { "depth of 65", "depth of 2147483647",
					     "depth of 4294967295" };
	for (int i = 0; i < 3; i++) {
		expect(fbk_exchange_set_depth(producer.exchange, producer.link, depths[i],
					      FBK_WHEN_FULL_WAIT),
		       -EINVAL, parts[i]);
	}
	expect(fbk_exchange_set_depth(producer.exchange, producer.link, 1, (enum fbk_when_full)2),
	       -EINVAL, "and then 2");
	expect(fbk_exchange_set_depth(producer.exchange, producer.link, 1, FBK_WHEN_FULL_WAIT),
	       -ENOBUFS, "holds 3 frames, and 1 more are offered: the producer has 3");
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, abandon);
	tcase_add_test(tcase, pause_of_a_producer);
	tcase_add_test(tcase, hold);
	tcase_add_test(tcase, depth);
}

int main(void)
{
	return suite_main("what an end of a link may not ask", add);
}
