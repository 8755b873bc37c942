// SPDX-License-Identifier: MIT
/* A consumer that offers, and producers that come one after the other, each until it is killed. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib-exchange.h"
#include "lib-wire.h"

#define FRAMES 1000

static struct daemon server;

static void setup(void)
{
	daemon_serve(&server, NULL);
}

static void teardown(void)
{
	daemon_stop(&server);
}

/* --------------------------------------------------------------------------------- every route --- */

struct kind {
	const char *name;
	uint32_t waits; /* the consumer's */
	enum fbk_route acquire;
	consumer_fn *wait;
};

static const struct kind kinds[] = {
	{ "native", FBK_FENCE_MEMORY64, FBK_ROUTE_NATIVE, wait_point },
	{ "eventfd", FBK_FENCE_EVENTFD, FBK_ROUTE_EVENTFD, wait_fd },
	{ "gate", 0, FBK_ROUTE_GATE, wait_point },
	{ "cpu-wait", FBK_FENCE_SYNC_FILE, FBK_ROUTE_CPU_WAIT, NULL },
};

/* ------------------------------------------------------------------ the consumer made the offer --- */

/* Takes that offer and hands over frames, from the number it is told; stays until it is killed. */
static int accepter(int socket, void *arg)
{
	struct producer producer = { .context = peer_connect(&server) };
	int offer;
	(void)arg;
	producer.frame = receive_word(socket, &offer);
	producer.device = exchange_device(producer.context, "producer", FBK_FENCE_MEMORY64,
					  FBK_FENCE_MEMORY64);
	producer.timeline = peer_timeline(producer.device, "drawn", 0);
	EXPECT(fbk_timeline_signal(producer.timeline, producer.frame) == 0);
	uint64_t give_up = now_ms() + PATIENCE_MS;
	while (link_accept(producer.device, offer, &producer.link) == -EBUSY &&
	       now_ms() < give_up) {
		yield_briefly();
	}
	EXPECT(fbk_exchange_create(producer.link, &producer.exchange) == 0);
	for (uint32_t i = 0; i < PRODUCER_BUFFERS; i++) {
		buffer_create(&producer.buffers[i]);
		struct fbk_buffer_desc desc = buffer_desc(&producer.buffers[i]);
		EXPECT(fbk_exchange_add(producer.exchange, i, &desc) == 0);
	}
	for (int i = 0; i < FRAMES; i++) {
		producer_frame(&producer);
	}
	producer_take_all(&producer);
	send_word(socket, producer.frame, -1);
	pause();
	return 0;
}

/* Each producer is killed, and the next one continues with the same offer. */
START_TEST(producers_come_and_go)
{
	struct peer peers[3];
	struct fbk_link *link;
	int offer;
	uint64_t number = 1;
	for (int i = 0; i < 3; i++) { /* before there are threads */
		peer_start(&peers[i], accepter, NULL);
	}
	struct fbk_context *context = peer_connect(&server);
	struct fbk_device *device =
		exchange_device(context, "consumer", kinds[_i].waits, FBK_FENCE_MEMORY64);
	ck_assert_int_eq(link_offer(device, FBK_ROLE_CONSUMER, &offer, &link), 0);
	for (int round = 0; round < 3; round++) {
		struct peer *peer = &peers[round];
		send_word(peer->socket, number, offer);
		for (int i = 0; i < FRAMES; i++) {
			struct fbk_frame *frame;
			int r = fbk_link_next(link, deadline_ms(PATIENCE_MS), &frame);
			ck_assert_msg(r == 0, "round %d, frame %d: %d, %s", round, i, r,
				      fbk_error_detail());
			number++;
			ck_assert(!kinds[_i].wait || kinds[_i].wait(frame, number, NULL) == 0);
			ck_assert_uint_eq(fbk_frame_acquire(frame).value, number);
			uint64_t *words =
				mmap(NULL, BUFFER_SIZE, PROT_READ, MAP_SHARED, frame_fd(frame), 0);
			ck_assert(words != MAP_FAILED && buffer_holds(words, number));
			munmap(words, BUFFER_SIZE);
			ck_assert_int_eq(frame_release(frame, 0), 0);
		}
		ck_assert_uint_eq(receive_word(peer->socket, NULL), number);
		kill(peer->pid, SIGKILL);
		ck_assert_int_eq(peer_wait(peer), 128 + SIGKILL);
	}
	close(offer);
	fbk_link_close(link);
	fbk_disconnect(context);
}
END_TEST

/* ---------------------------------------------------------------------------------- callbacks -- */

/* Holds all frames there are, then gives them back. */
static int holder(int socket, void *arg)
{
	struct fbk_frame *frames[PRODUCER_BUFFERS];
	struct consumer self;
	(void)arg;
	consumer_open(&self, &server, NULL, socket);
	for (int i = 0; i < PRODUCER_BUFFERS; i++) {
		EXPECT(fbk_link_next(self.link, deadline_ms(PATIENCE_MS), &frames[i]) == 0);
	}
	for (int i = 0; i < PRODUCER_BUFFERS; i++) {
		EXPECT(frame_release(frames[i], 0) == 0);
	}
	send_word(socket, 0, -1);
	receive_word(socket, NULL); /* until the producer has looked */
	fbk_disconnect(self.context);
	return 0;
}

static uint32_t told[PRODUCER_BUFFERS];
static int told_count;

static void note_released(void *arg, int result)
{
	ck_assert_int_eq(result, 0);
	ck_assert_int_lt(told_count, PRODUCER_BUFFERS);
	told[told_count++] = *(uint32_t *)arg;
}

START_TEST(callbacks_come_in_order)
{
	static uint32_t order[PRODUCER_BUFFERS] = { 2, 0, 1 };
	struct producer producer;
	struct peer peer;
	int offer;
	told_count = 0;
	producer_open(&producer, &server, FBK_FENCE_MEMORY64, FBK_FENCE_MEMORY64, &offer);
	peer_start(&peer, holder, NULL);
	send_word(peer.socket, 0, offer);
	close(offer);
	ck_assert_int_eq(fbk_link_wait(producer.link, deadline_ms(PATIENCE_MS)), 0);
	for (int i = 0; i < PRODUCER_BUFFERS; i++) {
		int r = fbk_exchange_hand(producer.exchange, order[i], FBK_POINT_SIGNALLED,
					  deadline_ms(PATIENCE_MS), NULL, note_released, &order[i]);
		ck_assert_msg(r > 0, "handing over: %s", fbk_error_detail());
	}
	receive_word(peer.socket, NULL);
	while (told_count < PRODUCER_BUFFERS) {
		loop_turn(producer.context);
	}
	for (int i = 0; i < PRODUCER_BUFFERS; i++) {
		ck_assert_uint_eq(told[i], order[i]);
	}
	send_word(peer.socket, 0, -1);
	producer_close(&producer);
	ck_assert_int_eq(peer_wait(&peer), 0);
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	ADD_LOOP(tcase, producers_come_and_go, kinds);
	tcase_add_test(tcase, callbacks_come_in_order);
}

int main(void)
{
	return suite_main("exchange-heirs", add);
}
