// SPDX-License-Identifier: MIT
/* A producer that gives up what a consumer keeps: the index is free for new memory, and the old is its holder's. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lib-exchange.h"
#include "lib-stuck.h"

#define MANY (getenv("FBK_SOAK") ? 10000 : 1000)

static struct daemon server;
static struct producer producer;
static struct consumer consumer;

/* Both ends in this process, each with a context of its own. */
static void setup(void)
{
	int offer;
	daemon_serve(&server, NULL);
	producer_open(&producer, &server, FBK_FENCE_MEMORY64, FBK_FENCE_MEMORY64, &offer);
	consumer.context = peer_connect(&server);
	consumer.device = exchange_device(consumer.context, "consumer", FBK_FENCE_MEMORY64,
					  FBK_FENCE_MEMORY64);
	ck_assert_int_eq(link_accept(consumer.device, offer, &consumer.link), 0);
	close(offer);
	ck_assert_int_eq(fbk_link_wait(producer.link, deadline_ms(PATIENCE_MS)), 0);
}

static void teardown(void)
{
	fbk_disconnect(consumer.context);
	producer_close(&producer);
	daemon_stop(&server);
}

static int take(uint64_t ms, uint32_t *ret_index)
{
	return fbk_exchange_take(producer.exchange, deadline_ms(ms), ret_index, NULL);
}

static int abandon(uint32_t index)
{
	return fbk_exchange_abandon(producer.exchange, index);
}

static void hand(uint32_t index)
{
	int r = fbk_exchange_hand(producer.exchange, index, FBK_POINT_SIGNALLED,
				  deadline_ms(PATIENCE_MS), NULL, NULL, NULL);
	ck_assert_msg(r > 0, "handing over: %d, %s", r, fbk_error_detail());
}

static struct fbk_frame *next(void)
{
	struct fbk_frame *frame;
	int r = fbk_link_next(consumer.link, deadline_ms(PATIENCE_MS), &frame);
	ck_assert_msg(r == 0, "next: %d, %s", r, fbk_error_detail());
	return frame;
}

static void add_new(uint32_t index)
{
	struct fbk_buffer_desc desc = buffer_desc(&producer.buffers[0]);
	int r = fbk_exchange_add(producer.exchange, index, &desc);
	ck_assert_msg(r == 0, "adding: %s", fbk_error_detail());
}

/* The program has all buffers but one, which is out. */
static void hand_only(uint32_t only)
{
	uint32_t index;
	for (int i = 0; i < PRODUCER_BUFFERS; i++) {
		ck_assert_int_eq(take(PATIENCE_MS, &index), 0);
	}
	hand(only);
}

static void expect_back(uint32_t index)
{
	uint32_t back;
	int r = take(PATIENCE_MS, &back);
	ck_assert_msg(r == 0, "taking: %s", fbk_error_detail());
	ck_assert_uint_eq(back, index);
}

/* A frame in new memory at that index goes its way. */
static void expect_new(uint32_t index)
{
	add_new(index);
	expect_back(index);
	hand(index);
	struct fbk_frame *frame = next();
	ck_assert_uint_eq(fbk_frame_index(frame), index);
	ck_assert_int_eq(frame_release(frame, 0), 0);
	expect_back(index);
}

START_TEST(what_is_not_out)
{
	uint32_t index;
	ck_assert_int_eq(abandon(0), -EINVAL); /* free */
	ck_assert_ptr_nonnull(strstr(fbk_error_detail(), "buffer 0"));
	ck_assert_int_eq(take(0, &index), 0);
	ck_assert_int_eq(abandon(index), -EINVAL); /* the program's */
	ck_assert_int_eq(abandon(PRODUCER_BUFFERS), -ENOENT);
	ck_assert_int_eq(abandon(FBK_BUFFERS_MAX), -EINVAL);
	hand(index);
	ck_assert_int_eq(frame_release(next(), 0), 0);
	ck_assert_int_eq(abandon(index), -EINVAL); /* back */
	hand_only(1);
	ck_assert_int_eq(abandon(1), 0);
	ck_assert_int_eq(abandon(1), -ENOENT);
	ck_assert_int_eq(fbk_exchange_remove(producer.exchange, 1), -ENOENT);
}
END_TEST

START_TEST(what_is_offered)
{
	struct fbk_frame *frame;
	hand_only(1);
	ck_assert_int_eq(abandon(1), 0);
	ck_assert_int_eq(fbk_link_next(consumer.link, deadline_ms(0), &frame), -ETIMEDOUT);
	expect_new(1);
}
END_TEST

static int release_at_once(struct fbk_frame *frame)
{
	return fbk_frame_release(frame, 0);
}

static int release_at_point(struct fbk_frame *frame)
{
	struct fbk_point point;
	return fbk_frame_release_later(frame, &point);
}

static int release_at_fence(struct fbk_frame *frame)
{
	int fence = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	int r = fbk_frame_release_on(frame, fence);
	ck_assert_int_eq(fcntl(fence, F_GETFD), -1); /* it is taken all the same */
	return r;
}

static int (*const ways[])(struct fbk_frame *frame) = { release_at_once, release_at_point,
							release_at_fence };

/* Before there is other memory, or while that is out. */
START_TEST(what_is_taken)
{
	hand_only(1);
	struct fbk_frame *frame = next();
	ck_assert_int_eq(abandon(1), 0);
	ck_assert_int_eq(ways[_i](frame), -ESTALE);
	ck_assert_int_eq(ways[_i](frame), -ESTALE);
	ck_assert_ptr_nonnull(fbk_frame_buffer(frame));
	expect_new(1);
	hand(1);
	struct fbk_frame *other = next();
	ck_assert_int_eq(abandon(1), 0);
	add_new(1);
	expect_back(1);
	hand(1);
	struct fbk_frame *third = next();
	ck_assert_int_eq(ways[_i](other), -ESTALE);
	fbk_frame_unref(other);
	ck_assert_int_eq(frame_release(third, 0), 0);
	expect_back(1);
	fbk_frame_unref(frame);
}
END_TEST

START_TEST(what_was_unreferenced)
{
	hand_only(1);
	struct fbk_frame *frame = next();
	ck_assert_int_eq(abandon(1), 0);
	fbk_frame_unref(frame);
	expect_new(1);
}
END_TEST

/* Given back, and its release is open: the next one in that index is free by its own. */
START_TEST(what_is_released_later)
{
	struct fbk_point old, new;
	uint32_t index;
	hand_only(1);
	ck_assert_int_eq(frame_release_later(next(), &old), 0);
	ck_assert_int_eq(take(0, &index), -ETIMEDOUT);
	ck_assert_int_eq(abandon(1), 0);
	add_new(1);
	expect_back(1);
	hand(1);
	ck_assert_int_eq(frame_release_later(next(), &new), 0);
	ck_assert_int_eq(fbk_point_signal(old), 0);
	ck_assert_int_eq(take(0, &index), -ETIMEDOUT);
	ck_assert_int_eq(fbk_point_signal(new), 0);
	expect_back(1);
}
END_TEST

START_TEST(what_follows_a_fence)
{
	int old = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	int new = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	uint32_t index;
	hand_only(1);
	struct fbk_frame *frame = next();
	ck_assert_int_eq(fbk_frame_release_on(frame, old), 0); /* nobody ever raises it */
	fbk_frame_unref(frame);
	ck_assert_int_eq(take(0, &index), -ETIMEDOUT);
	ck_assert_int_eq(abandon(1), 0);
	add_new(1);
	expect_back(1);
	hand(1);
	frame = next();
	int ours = fcntl(new, F_DUPFD_CLOEXEC, 0);
	ck_assert_int_eq(fbk_frame_release_on(frame, new), 0);
	fbk_frame_unref(frame);
	ck_assert_int_eq(take(0, &index), -ETIMEDOUT);
	ck_assert_int_eq(eventfd_write(ours, 1), 0);
	expect_back(1);
	close(ours);
}
END_TEST

/* It counts for nothing: not as held, not as late. */
START_TEST(what_it_counts_for)
{
	char text[FBK_REASON_SIZE];
	struct fbk_frame *frame;
	uint32_t index;
	int offer;
	struct fbk_link *link, *limited;
	ck_assert_int_eq(
		fbk_link_offer(producer.device,
			       &(struct fbk_link_desc){ .struct_size = sizeof(struct fbk_link_desc),
							.role = FBK_ROLE_PRODUCER },
			       &offer, &link),
		0);
	fbk_link_close(consumer.link);
	ck_assert_int_eq(fbk_exchange_attach(producer.exchange, link), 0);
	ck_assert_int_eq(link_accept_as(consumer.device, offer, FBK_DELIVERY_FIFO, 1, &limited), 0);
	consumer.link = limited;
	close(offer);
	ck_assert_int_eq(fbk_link_wait(link, deadline_ms(PATIENCE_MS)), 0);
	ck_assert_int_eq(take(PATIENCE_MS, &index), 0);
	ck_assert_int_eq(fbk_exchange_hand(producer.exchange, index, FBK_POINT_SIGNALLED, 1, NULL,
					   NULL, NULL),
			 1);
	frame = next();
	struct json_object *list = stuck(&server, 60000);
	ck_assert_uint_eq(json_object_array_length(list), 1);
	json_object_put(list);
	struct fbk_frame *other;
	ck_assert_int_eq(fbk_link_next(limited, deadline_ms(0), &other), -ENOBUFS);
	ck_assert_int_eq(abandon(index), 0);
	list = stuck(&server, 60000);
	ck_assert_uint_eq(json_object_array_length(list), 0);
	json_object_put(list);
	ck_assert_int_eq(fbk_link_blame(link, text, sizeof(text)), -ENOENT);
	ck_assert_int_eq(fbk_link_next(limited, deadline_ms(0), &other), -ETIMEDOUT);
	ck_assert_int_eq(frame_release(frame, 0), -ESTALE);
	fbk_link_close(link);
}
END_TEST

/* On all links at once. */
START_TEST(with_two_consumers)
{
	struct consumer second = { .context = peer_connect(&server) };
	struct fbk_frame *mine, *theirs;
	struct fbk_link *link;
	int offer;
	ck_assert_int_eq(link_offer(producer.device, FBK_ROLE_PRODUCER, &offer, &link), 0);
	ck_assert_int_eq(fbk_exchange_attach(producer.exchange, link), 0);
	second.device =
		exchange_device(second.context, "second", FBK_FENCE_MEMORY64, FBK_FENCE_MEMORY64);
	ck_assert_int_eq(link_accept(second.device, offer, &second.link), 0);
	close(offer);
	ck_assert_int_eq(fbk_link_wait(link, deadline_ms(PATIENCE_MS)), 0);
	hand_only(2);
	mine = next();
	ck_assert_int_eq(fbk_link_next(second.link, deadline_ms(PATIENCE_MS), &theirs), 0);
	ck_assert_int_eq(abandon(2), 0);
	ck_assert_int_eq(frame_release(theirs, 0), -ESTALE);
	ck_assert_int_eq(frame_release(mine, 0), -ESTALE);
	fbk_disconnect(second.context);
	expect_new(2);
	fbk_link_close(link);
}
END_TEST

static unsigned int count_fds(void)
{
	unsigned int count = 0;
	DIR *directory = opendir("/proc/self/fd");
	ck_assert_ptr_nonnull(directory);
	while (readdir(directory)) {
		count++;
	}
	closedir(directory);
	return count;
}

static void abandon_many(int times)
{
	for (int i = 0; i < times; i++) {
		struct fbk_point point;
		hand(1);
		struct fbk_frame *frame = next();
		if (i % 3 == 1) {
			ck_assert_int_eq(fbk_frame_release_later(frame, &point), 0);
		}
		ck_assert_int_eq(abandon(1), 0);
		add_new(1);
		expect_back(1);
		if (i % 3 == 1) {
			ck_assert_int_eq(fbk_point_signal(point), 0);
			ck_assert_int_eq(fbk_frame_release(frame, 0), -ESTALE);
		}
		fbk_frame_unref(frame);
	}
}

START_TEST(over_and_over)
{
	hand_only(1);
	ck_assert_int_eq(frame_release(next(), 0), 0);
	expect_back(1);
	abandon_many(10);
	unsigned int ours = count_fds();
	unsigned int theirs = daemon_fd_count(&server);
	abandon_many(MANY);
	ck_assert_uint_eq(count_fds(), ours);
	daemon_await_fds(&server, theirs);
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, what_is_not_out);
	tcase_add_test(tcase, what_is_offered);
	ADD_LOOP(tcase, what_is_taken, ways);
	tcase_add_test(tcase, what_was_unreferenced);
	tcase_add_test(tcase, what_is_released_later);
	tcase_add_test(tcase, what_follows_a_fence);
	tcase_add_test(tcase, what_it_counts_for);
	tcase_add_test(tcase, with_two_consumers);
	tcase_add_test(tcase, over_and_over);
}

int main(void)
{
	return suite_main("link-abandon", add);
}
