// SPDX-License-Identifier: MIT
/*
 * Frames to a network device without any fences: UDP with MSG_ZEROCOPY. A gate sends, and a frame
 * is released when the kernel reports that it let go of the memory, not before.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib-link.h"
#include "lib-net.h"

static struct daemon server;

/* In memory that all processes of a test share. */
static struct shared {
	_Atomic bool done[LINK_FRAMES + 1]; /* frames whose memory the kernel let go of */
	enum net_way way;
} * shared;

static void setup(void)
{
	daemon_serve(&server, lab_policy(60000));
	shared = shared_memory(sizeof(*shared));
}

static void teardown(void)
{
	munmap(shared, sizeof(*shared));
	daemon_stop(&server);
}

/* ---------------------------------------------------------------------------------- the sender -- */

struct sender {
	struct consumer consumer;
	struct fbk_point released[LINK_FRAMES + 1]; /* where each frame is */
	int udp;
	unsigned int copied;
	struct fbk_frame *frame; /* at the gate; NULL: it is sent */
};

/* Each frame by itself: reports may overtake each other. */
static void sender_done(struct sender *sender, uint64_t number)
{
	/* release: before the producer may see the frame free */
	EXPECT(!atomic_exchange_explicit(&shared->done[number], true, memory_order_release));
	EXPECT(fbk_point_signal(sender->released[number]) == 0);
}

/* The device's interrupt: releases what the kernel reports as done. */
static void *sender_reap(void *arg)
{
	struct sender *sender = arg;
	uint64_t done = 0;
	while (done < LINK_FRAMES) {
		struct net_done said;
		EXPECT(net_done(sender->udp, PATIENCE_MS, &said));
		EXPECT(said.last >= said.first && said.last < LINK_FRAMES);
		for (uint32_t i = said.first; i <= said.last; i++) {
			sender_done(sender, i + 1);
			done++;
		}
		sender->copied += said.copied ? said.last - said.first + 1 : 0;
	}
	return NULL;
}

/* A gate's action: in fbk_dispatch(), when the frame is drawn. */
static void sender_send(void *arg, struct fbk_point point, int result)
{
	struct sender *sender = arg;
	(void)point;
	EXPECT(result == 0);
	net_send(sender->udp, frame_words(sender->frame, PROT_READ), BUFFER_SIZE);
	sender->frame = NULL;
}

static void sender_frame(struct sender *sender, struct fbk_frame *frame, uint64_t number)
{
	struct fbk_context *context = sender->consumer.context;
	sender->frame = frame;
	/* before it is sent: the report may come at once */
	EXPECT(fbk_frame_release_later(frame, &sender->released[number]) == 0);
	EXPECT(fbk_point_watch(fbk_frame_acquire(frame), deadline_ms(PATIENCE_MS), sender_send,
			       sender, NULL) == 0);
	while (sender->frame) {
		loop_turn(context);
	}
	fbk_frame_unref(frame);
}

static int sender_run(int socket, void *arg)
{
	static const struct fbk_device_desc desc = { .struct_size = sizeof(struct fbk_device_desc),
						     .name = "eth",
						     .device_class = FBK_CLASS_NETWORK };
	static struct sender sender;
	struct fbk_frame *frame;
	pthread_t reaper;
	uint64_t number = 0;
	(void)arg;
	sender.udp = net_sender(shared->way);
	consumer_open(&sender.consumer, &server, &desc, socket);
	expect_routes(sender.consumer.link, FBK_ROUTE_GATE, FBK_ROUTE_NATIVE);
	EXPECT(pthread_create(&reaper, NULL, sender_reap, &sender) == 0);
	while ((frame = consumer_next(&sender.consumer))) {
		sender_frame(&sender, frame, ++number);
	}
	pthread_join(reaper, NULL);
	ck_assert_uint_eq(number, LINK_FRAMES);
	send_word(socket, sender.copied, -1);
	consumer_close(&sender.consumer);
	return 0;
}

/* ---------------------------------------------------------------------------------- the receiver -- */

/* Each frame comes once, and whole. Packets may overtake each other: each CPU of the receiver has a
 * queue of them. */
static int receiver_run(int socket, void *arg)
{
	static uint64_t words[BUFFER_SIZE / sizeof(uint64_t) + 1];
	bool came[LINK_FRAMES + 1] = { false };
	int udp = net_receiver();
	(void)arg;
	send_word(socket, 0, -1);
	for (unsigned int i = 0; i < LINK_FRAMES; i++) {
		EXPECT(readable_within(udp, PATIENCE_MS) == 1);
		ck_assert_int_eq(recv(udp, words, sizeof(words), 0), BUFFER_SIZE);
		EXPECT(words[0] > 0 && words[0] <= LINK_FRAMES && !came[words[0]]);
		EXPECT(buffer_holds(words, words[0]));
		came[words[0]] = true;
	}
	return 0;
}

/* --------------------------------------------------------------------------------- the encoder -- */

/* As producer_frame(); the kernel has let go of the buffer's previous frame. */
static void encode(struct producer *producer)
{
	static uint64_t held[PRODUCER_BUFFERS];
	uint32_t index = producer_hand(producer);
	/* acquire: pairs with the reaper's release */
	EXPECT(held[index] == 0 ||
	       atomic_load_explicit(&shared->done[held[index]], memory_order_acquire));
	held[index] = producer->frame;
	producer_draw(producer, index);
}

START_TEST(encoder_to_udp)
{
	static const struct fbk_device_desc desc = {
		.struct_size = sizeof(struct fbk_device_desc),
		.name = "encoder",
		.device_class = FBK_CLASS_ENCODER,
		.waits = FBK_FENCE_MEMORY64,
		.signals = FBK_FENCE_MEMORY64,
	};
	struct producer producer;
	struct peer sender, receiver;
	int offer;
	shared->way = (enum net_way)_i;
	if (shared->way == NET_VETH) {
		peer_start(&receiver, receiver_run, NULL);
		receive_word(receiver.socket, NULL);
	}
	peer_start(&sender, sender_run, NULL);
	producer_offer(&producer, &server, &desc, &offer);
	producer_fill(&producer, false);
	send_word(sender.socket, 0, offer);
	close(offer);
	producer_meet(&producer);
	uint64_t began = now_ms();
	for (int i = 0; i < LINK_FRAMES; i++) {
		encode(&producer);
	}
	exchange_drain(producer.exchange, PRODUCER_BUFFERS);
	print_frames(shared->way == NET_VETH ? "sent to a veth" : "sent to a dummy", LINK_FRAMES,
		     began);
	producer_close(&producer);
	uint64_t copied = patient_word(sender.socket);
	printf("of these, the kernel says, copied: %llu\n", (unsigned long long)copied);
	/* A veth delivers to a receiver on the same machine, for which the kernel copies. */
	EXPECT(shared->way == NET_VETH || copied == 0);
	ck_assert_int_eq(patient_wait(&sender), 0);
	if (shared->way == NET_VETH) {
		ck_assert_int_eq(patient_wait(&receiver), 0);
	}
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, encoder_to_udp, NET_VETH, NET_DUMMY + 1);
}

int main(void)
{
	return lab_main_with("link udp", net_start, net_stop, add);
}
