// SPDX-License-Identifier: MIT
/* Links, buffers and frames, over and over: nothing piles up, here or at the daemon. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lib-constant.h"
#include "lib-stage.h"

static struct local consumer;
static enum way way;

static void begin(enum way chosen)
{
	way = chosen;
	stage_open(way, NULL);
	local_open(&consumer, FBK_DELIVERY_FIFO, PRODUCER_BUFFERS);
}

static void end(void)
{
	local_close(&consumer);
	stage_close();
}

/* Takes back all that is out, so that each round finds the buffers as the one before did. */
static void give_back(uint32_t count)
{
	uint32_t taken[PRODUCER_BUFFERS];
	for (uint32_t i = 0; i < count; i++) {
		taken[i] = take();
	}
	for (uint32_t i = 0; i < count; i++) {
		int r = hand(taken[i]);
		ck_assert_msg(r == 1, "handing over: %d, %s", r, fbk_error_detail());
		EXPECT(frame_release(local_next(&consumer), 0) == 0);
	}
}

/* ------------------------------------------------------------------------------------------ frames -- */

static void round_frame(void)
{
	stage_frame(NULL);
	struct fbk_frame *frame = local_next(&consumer);
	EXPECT(frame_arrive(frame) == 0);
	EXPECT(fbk_frame_buffer(frame) && fbk_frame_sequence(frame) > 0 &&
	       fbk_frame_index(frame) < PRODUCER_BUFFERS);
	EXPECT(fbk_frame_meta(frame)->flags == 0);
	fbk_frame_ref(frame);
	fbk_frame_unref(frame);
	EXPECT(fbk_frame_release(frame, 0) == 0);
	fbk_frame_unref(frame);
}

/* By a point of the buffer's own, and by a fence of the caller's. */
static void round_released_by(bool fence)
{
	struct fbk_point released;
	stage_frame(NULL);
	struct fbk_frame *frame = local_next(&consumer);
	EXPECT(fbk_frame_error(frame) <= 0);
	if (way == WAY_NATIVE) {
		EXPECT(fbk_point_wait(fbk_frame_acquire(frame), deadline_ms(PATIENCE_MS)) == 0);
	} else {
		EXPECT(fbk_frame_acquire_fd(frame, deadline_ms(PATIENCE_MS)) >= 0);
	}
	if (fence) {
		EXPECT(fbk_frame_release_on(frame, eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK)) == 0);
	} else {
		EXPECT(fbk_frame_release_later(frame, &released) == 0);
		EXPECT(fbk_point_signal(released) == 0);
	}
	fbk_frame_unref(frame);
	give_back(PRODUCER_BUFFERS);
}

static void round_released_on(void)
{
	round_released_by(true);
}

static void round_released_at(void)
{
	round_released_by(false);
}

static void round_released_later(void)
{
	struct fate fate;
	stage_frame(NULL);
	frame_release_by_way(local_next(&consumer), &fate);
	fate_decide(&fate, 0);
	give_back(PRODUCER_BUFFERS);
}

static void round_taken_early(void)
{
	struct fbk_release releases[FBK_CONSUMERS_MAX + 1];
	struct fate fate;
	uint32_t index, age;
	size_t count;
	int fd;
	stage_frame(NULL);
	frame_release_by_way(local_next(&consumer), &fate);
	for (uint32_t i = 0; i < PRODUCER_BUFFERS; i++) {
		EXPECT(fbk_exchange_take_early(producer.exchange, deadline_ms(PATIENCE_MS), &index,
					       &age, releases, &count) == 0);
		for (size_t release = 0; release < count; release++) {
			if (fbk_release_fd(&releases[release], FBK_DEADLINE_MAX, &fd) == 0) {
				close(fd);
			}
		}
		EXPECT(hand(index) == 1);
	}
	fate_decide(&fate, 0);
	for (uint32_t i = 0; i < PRODUCER_BUFFERS; i++) {
		EXPECT(frame_release(local_next(&consumer), 0) == 0);
	}
}

/* The frame is not looked at, and its producer fails. */
static void round_dropped(void)
{
	stage_frame(NULL);
	fbk_frame_unref(local_next(&consumer));
	give_back(PRODUCER_BUFFERS);
}

static void round_buffer(void)
{
	uint32_t index = take();
	EXPECT(fbk_exchange_remove(producer.exchange, index) == 0);
	struct fbk_buffer_desc desc = buffer_desc(stage_buffer(index));
	EXPECT(fbk_exchange_add(producer.exchange, index, &desc) == 0);
	give_back(PRODUCER_BUFFERS);
}

static void round_abandoned(void)
{
	uint32_t index;
	stage_frame(&index);
	struct fbk_frame *frame = local_next(&consumer);
	EXPECT(fbk_exchange_abandon(producer.exchange, index) == 0);
	struct fbk_buffer_desc desc = buffer_desc(stage_buffer(index));
	EXPECT(fbk_exchange_add(producer.exchange, index, &desc) == 0);
	EXPECT(frame_release(frame, 0) == -ESTALE);
	give_back(PRODUCER_BUFFERS);
}

static void round_watched(void)
{
	struct fbk_watch *watch, *listener;
	EXPECT(fbk_link_listen(consumer.link, ignore_phase, NULL, &listener) == 0);
	EXPECT(fbk_link_watch(consumer.link, ignore_frame, NULL, &watch) == 0);
	stage_frame(NULL);
	EXPECT(fbk_dispatch(consumer.context) >= 0);
	fbk_watch_cancel(watch);
	fbk_watch_cancel(listener);
	EXPECT(frame_release(local_next(&consumer), 0) == 0);
}

static void round_asked(void)
{
	struct fbk_link_info info = { .struct_size = sizeof(info) };
	const struct fbk_format *format;
	char text[256];
	EXPECT(fbk_link_info(consumer.link, &info) == 0);
	EXPECT(fbk_link_format(consumer.link, 0, &format) == -ENOENT);
	EXPECT(fbk_link_blame(producer.link, text, sizeof(text)) == -ENOENT);
	EXPECT(fbk_link_blame(consumer.link, text, sizeof(text)) == 0);
	EXPECT(fbk_link_cause(producer.link));
	EXPECT(fbk_exchange_set_depth(producer.exchange, producer.link, 0, FBK_WHEN_FULL_WAIT) ==
	       0);
	EXPECT(fbk_exchange_set_flushing(producer.exchange, true) == 0);
	EXPECT(fbk_exchange_set_flushing(producer.exchange, false) == 0);
	EXPECT(fbk_link_set_flushing(consumer.link, true) == 0);
	EXPECT(fbk_link_set_flushing(consumer.link, false) == 0);
	EXPECT(fbk_link_pause(consumer.link, true) == 0);
	EXPECT(fbk_link_pause(consumer.link, false) == 0);
}

/* ------------------------------------------------------------------------------------------- links -- */

/* A link of its own, from the offer to the end: `how` 0: stopped, 1: failed, 2: closed with a frame in hand. */
static void link_live(int how)
{
	static unsigned int number;
	struct fbk_link *from, *to;
	struct fbk_exchange *exchange;
	struct fbk_frame *frame;
	char name[32];
	int own, found;
	const struct fbk_consumer_desc may_hold = { .struct_size = sizeof(may_hold), .hold = 1 };
	const struct fbk_link_desc desc = { .struct_size = sizeof(desc),
					    .role = FBK_ROLE_PRODUCER };
	const struct fbk_link_desc takes = { .struct_size = sizeof(takes),
					     .role = FBK_ROLE_CONSUMER,
					     .consumer = &may_hold };
	EXPECT(fbk_link_offer(producer.device, &desc, &own, &from) == 0);
	snprintf(name, sizeof(name), "round.%u", number++);
	EXPECT(fbk_exchange_create(from, &exchange) == 0);
	EXPECT(fbk_link_publish(from, name) == 0);
	EXPECT(fbk_link_find(consumer.context, name, &found) == 0);
	EXPECT(fbk_link_accept(consumer.device, found, &takes, &to) == 0);
	int r = fbk_link_wait(from, deadline_ms(PATIENCE_MS));
	ck_assert_msg(r == 0, "waiting: %d, %s", r, fbk_error_detail());
	struct fbk_buffer_desc buffer = buffer_desc(stage_buffer(0));
	EXPECT(fbk_exchange_add(exchange, 0, &buffer) == 0);
	EXPECT(fbk_link_import(to, ignore_buffer, NULL) == 0);
	uint32_t index;
	EXPECT(fbk_exchange_take(exchange, deadline_ms(PATIENCE_MS), &index, NULL) == 0);
	EXPECT(fbk_exchange_hand(exchange, index, FBK_POINT_SIGNALLED, deadline_ms(PATIENCE_MS),
				 NULL, NULL, NULL) == 1);
	EXPECT(fbk_link_next(to, deadline_ms(PATIENCE_MS), &frame) == 0);
	if (how == 0) {
		EXPECT(fbk_link_stop(from) == 0);
		EXPECT(fbk_frame_release(frame, 0) == 0);
	} else if (how == 1) {
		EXPECT(fbk_link_fail(from, -EIO, "tried") == 0);
	}
	fbk_link_close(to);
	fbk_frame_unref(frame);
	fbk_exchange_destroy(exchange);
	fbk_link_close(from);
	close(own);
	close(found);
}

static void round_stopped(void)
{
	link_live(0);
}

static void round_failed(void)
{
	link_live(1);
}

static void round_closed(void)
{
	link_live(2);
}

/* A second consumer of the same buffers, which comes and goes. */
static void round_attached(void)
{
	struct local second;
	struct fbk_link *link;
	int own;
	EXPECT(link_offer(producer.device, FBK_ROLE_PRODUCER, &own, &link) == 0);
	EXPECT(fbk_exchange_attach(producer.exchange, link) == 0);
	local_open_at(&second, own, link, FBK_DELIVERY_MAILBOX, 1);
	local_close(&second);
	fbk_link_close(link);
	close(own);
}

/* -------------------------------------------------------------------------------------------------- */

static void (*const rounds[])(void) = {
	round_frame,       round_released_on, round_released_at, round_released_later,
	round_taken_early, round_dropped,     round_buffer,      round_abandoned,
	round_watched,     round_asked,       round_stopped,     round_failed,
	round_closed,      round_attached,
};

static void settle(void)
{
	struct fbk_point next = { producer.timeline, producer.frame + 1 };
	char text[256];
	EXPECT(fbk_point_blame(next, text, sizeof(text)) == 0);
	EXPECT(fbk_link_blame(consumer.link, text, sizeof(text)) == 0);
}

START_TEST(nothing_piles_up_natively)
{
	begin(WAY_NATIVE);
	expect_constant(&server, rounds[_i], settle);
	end();
}
END_TEST

START_TEST(nothing_piles_up_by_eventfd)
{
	begin(WAY_EVENTFD);
	expect_constant(&server, rounds[_i], settle);
	end();
}
END_TEST

static void add(TCase *tcase)
{
	tcase_set_timeout(tcase, soak() ? 3600 : 300);
	ADD_LOOP(tcase, nothing_piles_up_natively, rounds);
	ADD_LOOP(tcase, nothing_piles_up_by_eventfd, rounds);
}

int main(void)
{
	return suite_main("constant-link", add);
}
