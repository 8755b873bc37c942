// SPDX-License-Identifier: MIT
/* Buffers between two devices with memory fences: after the start the daemon takes no part. */
#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib-exchange.h"
#include "lib-wire.h"

#define FRAMES 1000

static struct daemon server;
static struct client observer;

static void setup(void)
{
	daemon_serve(&server, NULL);
	client_open(&observer, &server);
}

static void teardown(void)
{
	client_close(&observer);
	daemon_stop(&server);
}

/* The consumer has the producer's only buffer: the producer sleeps until its release, then until
 * the release point is reached. */
static void give_back(struct fbk_frame *frame)
{
	struct fbk_point release;
	await_asleep(getppid());
	EXPECT(frame_release_later(frame, &release) == 0);
	await_asleep(getppid());
	EXPECT(fbk_point_signal(release) == 0);
}

static uint64_t consume_by_points(struct fbk_link *link)
{
	const uint64_t *words = NULL;
	struct fbk_frame *frame;
	uint64_t number = 0;
	while (fbk_link_next(link, deadline_ms(PATIENCE_MS), &frame) == 0) {
		if (!words) {
			words = mmap(NULL, BUFFER_SIZE, PROT_READ, MAP_SHARED, frame_fd(frame), 0);
			EXPECT(words != MAP_FAILED);
		}
		EXPECT(fbk_point_wait(fbk_frame_acquire(frame), deadline_ms(PATIENCE_MS)) == 0);
		EXPECT(buffer_holds(words, ++number));
		give_back(frame);
	}
	return number;
}

static int consumer(int socket, void *arg)
{
	struct fbk_link_info info = { .struct_size = sizeof(info) };
	struct consumer self;
	(void)arg;
	consumer_open(&self, &server, NULL, socket);
	EXPECT(fbk_link_info(self.link, &info) == 0);
	ck_assert_int_eq(info.acquire, FBK_ROUTE_NATIVE);
	ck_assert_int_eq(info.release, FBK_ROUTE_NATIVE);
	send_word(socket, consume_by_points(self.link), -1);
	consumer_close(&self);
	return 0;
}

/* Each side sleeps for each step of the other. */
static void frame(struct producer *producer, const struct peer *peer)
{
	uint32_t index;
	struct fbk_point acquire = { producer->timeline, ++producer->frame };
	EXPECT(fbk_exchange_take(producer->exchange, deadline_ms(PATIENCE_MS), &index, NULL) == 0);
	await_asleep(peer->pid); /* waits for a frame */
	EXPECT(fbk_exchange_hand(producer->exchange, index, acquire, deadline_ms(PATIENCE_MS), NULL,
				 NULL, NULL) > 0);
	await_asleep(peer->pid); /* waits until this one is drawn */
	buffer_write(&producer->buffers[index], acquire.value);
	EXPECT(fbk_point_signal(acquire) == 0);
}

/* Frames until the daemon woke no process for so many of them. It counts a wait before its wake,
 * and each sleeper of these frames but the last was woken. */
static void pair_up(struct producer *producer, const struct peer *peer)
{
	uint64_t end = now_ms() + PATIENCE_MS, before, waits = client_counter(&observer, "waits");
	do {
		EXPECT(now_ms() < end);
		before = waits;
		for (int i = 0; i < FRAMES / 100; i++) {
			frame(producer, peer);
		}
		waits = client_counter(&observer, "waits");
	} while (waits != before);
}

static void expect_all_came(struct producer *producer, struct peer *peer)
{
	uint64_t frames = producer->frame;
	producer_close(producer);
	ck_assert_uint_eq(receive_word(peer->socket, NULL), frames);
	ck_assert_int_eq(peer_wait(peer), 0);
}

START_TEST(the_daemon_is_left_alone)
{
	struct producer producer;
	struct peer peer;
	uint32_t index;
	int offer;
	producer_open(&producer, &server, FBK_FENCE_MEMORY64, FBK_FENCE_MEMORY64, &offer);
	for (uint32_t i = 1; i < PRODUCER_BUFFERS; i++) {
		EXPECT(fbk_exchange_remove(producer.exchange, i) == 0);
	}
	peer_start(&peer, consumer, NULL);
	send_word(peer.socket, 0, offer);
	close(offer);
	EXPECT(fbk_link_wait(producer.link, deadline_ms(PATIENCE_MS)) == 0);
	pair_up(&producer, &peer);
	uint64_t bells = client_counter(&observer, "bells");
	uint64_t wakes = client_counter(&observer, "wakes");
	uint64_t requests = client_counter(&observer, "requests");
	for (int i = 0; i < FRAMES; i++) {
		frame(&producer, &peer);
	}
	/* One more frame, so that the last release was seen. */
	EXPECT(fbk_exchange_take(producer.exchange, deadline_ms(PATIENCE_MS), &index, NULL) == 0);
	ck_assert_uint_eq(client_counter(&observer, "bells"), bells);
	ck_assert_uint_eq(client_counter(&observer, "wakes"), wakes);
	ck_assert_uint_eq(client_counter(&observer, "requests"), requests + 3); /* these */
	expect_all_came(&producer, &peer);
}
END_TEST

/* -------------------------------------------------------------------------------- by event loops -- */

struct loop {
	const uint64_t *words;
	uint64_t number;
	bool ended;
};

/* A frame is ready when it comes, and is released when the producer's loop waits for it. */
static void loop_next(void *arg, struct fbk_link *link)
{
	struct loop *loop = arg;
	struct fbk_frame *frame;
	int r = fbk_link_next(link, 0, &frame);
	loop->ended = r == -EPIPE;
	if (r == 0) {
		if (!loop->words) {
			loop->words =
				mmap(NULL, BUFFER_SIZE, PROT_READ, MAP_SHARED, frame_fd(frame), 0);
			EXPECT(loop->words != MAP_FAILED);
		}
		EXPECT(fbk_point_check(fbk_frame_acquire(frame)) == 0);
		EXPECT(buffer_holds(loop->words, ++loop->number));
		await_polling(getppid());
		EXPECT(frame_release(frame, 0) == 0);
	}
	if (!loop->ended) {
		EXPECT(fbk_link_watch(link, loop_next, loop, NULL) == 0);
	}
}

static int consumer_by_loop(int socket, void *arg)
{
	struct loop loop = { NULL };
	struct consumer self;
	(void)arg;
	consumer_open(&self, &server, NULL, socket);
	EXPECT(fbk_link_watch(self.link, loop_next, &loop, NULL) == 0);
	while (!loop.ended) {
		loop_turn(self.context);
	}
	send_word(socket, loop.number, -1);
	fbk_disconnect(self.context);
	return 0;
}

static void released(void *arg, int result)
{
	bool *back = arg;
	*back = result == 0;
}

/* With one buffer, which comes back each time. Each loop sleeps for each step of the other. */
static void loop_frame(struct producer *producer, const struct peer *peer, uint32_t index)
{
	bool back = false;
	struct fbk_point acquire = { producer->timeline, ++producer->frame };
	buffer_write(&producer->buffers[index], acquire.value);
	EXPECT(fbk_point_signal(acquire) == 0);
	await_polling(peer->pid);
	EXPECT(fbk_exchange_hand(producer->exchange, index, acquire, deadline_ms(PATIENCE_MS), NULL,
				 released, &back) > 0);
	while (!back) {
		loop_turn(producer->context);
	}
}

START_TEST(loops_leave_it_alone)
{
	struct producer producer;
	struct peer peer;
	uint32_t index;
	int offer;
	producer_open(&producer, &server, FBK_FENCE_MEMORY64, FBK_FENCE_MEMORY64, &offer);
	peer_start(&peer, consumer_by_loop, NULL);
	send_word(peer.socket, 0, offer);
	close(offer);
	EXPECT(fbk_link_wait(producer.link, deadline_ms(PATIENCE_MS)) == 0);
	EXPECT(fbk_exchange_take(producer.exchange, 0, &index, NULL) == 0);
	uint64_t end = now_ms() + PATIENCE_MS, requests, before = 0;
	while ((requests = client_counter(&observer, "requests")) != before + 1) {
		EXPECT(now_ms() < end);
		for (int i = 0; i < FRAMES / 100; i++) {
			loop_frame(&producer, &peer, index);
		}
		before = requests;
	}
	uint64_t bells = client_counter(&observer, "bells");
	requests = client_counter(&observer, "requests");
	for (int i = 0; i < FRAMES; i++) {
		loop_frame(&producer, &peer, index);
	}
	ck_assert_uint_eq(client_counter(&observer, "bells"), bells);
	ck_assert_uint_eq(client_counter(&observer, "requests"), requests + 2); /* these */
	expect_all_came(&producer, &peer);
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, the_daemon_is_left_alone);
	if (kernel_naps()) {
		tcase_add_test(tcase, loops_leave_it_alone);
	} else {
		printf("SKIPPED: loops_leave_it_alone: this kernel's io_uring can't wait on "
		       "futexes "
		       "(Linux 6.7)\n");
	}
}

int main(void)
{
	return suite_main("exchange idle", add);
}
