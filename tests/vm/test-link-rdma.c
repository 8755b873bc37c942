// SPDX-License-Identifier: MIT
/*
 * Frames to a network device with memory fences: RDMA by plain libibverbs. A frame is sent once its
 * acquire point is reached; its release is a word that an atomic of the other end writes, or the
 * completion of the send.
 */
#include <arpa/inet.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib-link.h"
#include "lib-rdma.h"

#define SLOTS PRODUCER_BUFFERS

static struct daemon server;

/* In memory that all processes of a test share: where each buffer's release point lies. */
static struct shared {
	struct rdma_target fences[SLOTS];
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

/* Who writes the release point. */
enum back {
	BY_ATOMIC,     /* the other end's device, into the payload, once it has read the frame */
	BY_COMPLETION, /* the sender's process, once its device says that the frame is there */
};

/* The immediate value of a frame: its number and its slot. */
static uint32_t immediate_of(uint64_t number, uint32_t index)
{
	return (uint32_t)number << 8 | index;
}

static void expect_success(const struct ibv_wc *completion)
{
	ck_assert_msg(completion->status == IBV_WC_SUCCESS, "%s",
		      ibv_wc_status_str(completion->status));
}

/* -------------------------------------------------------------------------------- the other end -- */

struct receiver {
	struct rdma_end end;
	struct ibv_mr *slots, *old;
	uint64_t words[SLOTS][BUFFER_SIZE / sizeof(uint64_t)];
	uint64_t old_value; /* what an atomic gives back */
	uint64_t number;    /* the last one that came */
};

static void receiver_open(struct receiver *receiver, int socket)
{
	struct rdma_end *end = &receiver->end;
	rdma_open(end);
	receiver->slots = rdma_register(end, receiver->words, sizeof(receiver->words),
					IBV_ACCESS_REMOTE_WRITE);
	receiver->old = rdma_register(end, &receiver->old_value, sizeof(uint64_t), 0);
	EXPECT(receiver->slots && receiver->old);
	for (int i = 0; i < SLOTS; i++) {
		rdma_expect(end);
	}
	rdma_connect(end, socket);
	rdma_offer(socket, receiver->slots);
}

static void receiver_close(struct receiver *receiver)
{
	ibv_dereg_mr(receiver->slots);
	ibv_dereg_mr(receiver->old);
	rdma_close(&receiver->end);
}

static void receiver_take(struct receiver *receiver, enum back back, uint32_t immediate, int socket)
{
	uint64_t number = ++receiver->number;
	uint32_t index = immediate & 0xff;
	ck_assert_uint_eq(immediate, immediate_of(number, index));
	EXPECT(buffer_holds(receiver->words[index], number));
	rdma_expect(&receiver->end);
	if (back == BY_ATOMIC) {
		rdma_add(&receiver->end, receiver->old, shared->fences[index], 1);
	} else {
		send_word(socket, number, -1); /* its slot here may be written again */
	}
}

static int receiver_run(int socket, void *arg)
{
	static struct receiver receiver;
	enum back back = *(const enum back *)arg;
	receiver_open(&receiver, socket);
	for (int left = back == BY_ATOMIC ? 2 * LINK_FRAMES : LINK_FRAMES; left > 0; left--) {
		struct ibv_wc completion = rdma_sleep(&receiver.end, socket);
		expect_success(&completion);
		if (completion.opcode == IBV_WC_RECV_RDMA_WITH_IMM) {
			receiver_take(&receiver, back, ntohl(completion.imm_data), socket);
		}
	}
	ck_assert_uint_eq(receiver.number, LINK_FRAMES);
	send_word(socket, 0, -1);
	EXPECT(patient_word(socket) == 0); /* the connection is not needed any more */
	receiver_close(&receiver);
	return 0;
}

/* ----------------------------------------------------------------------------------- the sender -- */

struct sender {
	struct consumer consumer;
	struct rdma_end end;
	struct ibv_mr *fences[SLOTS], *buffers[SLOTS];
	struct rdma_target slots;
	struct peer receiver;
};

static void sender_open(struct sender *sender, enum back back, int socket)
{
	const struct fbk_device_desc desc = {
		.struct_size = sizeof(struct fbk_device_desc),
		.name = "rnic",
		.device_class = FBK_CLASS_NETWORK,
		.waits = FBK_FENCE_MEMORY64,
		.signals = FBK_FENCE_MEMORY64,
		.silent = back == BY_ATOMIC, /* nothing here learns of the atomic */
	};
	consumer_open(&sender->consumer, &server, &desc, socket);
	expect_routes(sender->consumer.link, FBK_ROUTE_NATIVE, FBK_ROUTE_NATIVE);
	rdma_open(&sender->end);
	rdma_connect(&sender->end, sender->receiver.socket);
	sender->slots = rdma_learn(sender->receiver.socket);
}

static void sender_close(struct sender *sender)
{
	for (size_t i = 0; i < SLOTS; i++) {
		ibv_dereg_mr(sender->buffers[i]);
		ibv_dereg_mr(sender->fences[i]);
	}
	rdma_close(&sender->end);
	consumer_close(&sender->consumer);
}

/* The frame itself: the device reads what the encoder wrote. */
static const struct ibv_mr *sender_region(struct sender *sender, const struct fbk_frame *frame)
{
	struct ibv_mr **region = &sender->buffers[fbk_frame_index(frame)];
	if (!*region) {
		void *words = frame_words(frame, PROT_READ | PROT_WRITE);
		*region = rdma_register(&sender->end, words, BUFFER_SIZE, 0);
		EXPECT(*region);
	}
	return *region;
}

/* The buffer's release point n is its n-th use: the other end adds one. */
static void sender_show_fence(struct sender *sender, uint32_t index, struct fbk_point released)
{
	struct ibv_mr **region = &sender->fences[index];
	struct fbk_memory memory = { .struct_size = sizeof(memory) };
	if (!*region) {
		EXPECT(released.value == 1);
		EXPECT(fbk_timeline_memory(released.timeline, &memory, NULL) == 0);
		*region = rdma_register(&sender->end, memory.address, memory.size,
					IBV_ACCESS_REMOTE_WRITE | IBV_ACCESS_REMOTE_ATOMIC);
		EXPECT(*region);
		shared->fences[index] =
			(struct rdma_target){ (uintptr_t)memory.address, (*region)->rkey };
	}
}

static void sender_send(struct sender *sender, enum back back, struct fbk_frame *frame,
			uint64_t number)
{
	uint32_t index = fbk_frame_index(frame);
	const struct ibv_mr *region = sender_region(sender, frame);
	struct rdma_target slot = sender->slots;
	struct fbk_point released;
	slot.address += (uint64_t)index * BUFFER_SIZE;
	if (back == BY_COMPLETION && number > SLOTS) {
		ck_assert_uint_eq(patient_word(sender->receiver.socket), number - SLOTS);
	}
	EXPECT(fbk_point_wait(fbk_frame_acquire(frame), deadline_ms(PATIENCE_MS)) == 0);
	EXPECT(frame_release_later(frame, &released) == 0);
	sender_show_fence(sender, index, released);
	rdma_write_with_immediate(&sender->end, region, BUFFER_SIZE, slot,
				  immediate_of(number, index));
	struct ibv_wc completion = rdma_spin(&sender->end);
	expect_success(&completion);
	EXPECT(back == BY_ATOMIC || fbk_point_signal(released) == 0);
}

static int sender_run(int socket, void *arg)
{
	static struct sender sender;
	enum back back = *(const enum back *)arg;
	struct fbk_frame *frame;
	uint64_t number = 0;
	peer_start(&sender.receiver, receiver_run, arg);
	sender_open(&sender, back, socket);
	while ((frame = consumer_next(&sender.consumer))) {
		sender_send(&sender, back, frame, ++number);
	}
	ck_assert_uint_eq(number, LINK_FRAMES);
	while (patient_word(sender.receiver.socket) != 0) { /* its last confirmations */
	}
	send_word(sender.receiver.socket, 0, -1);
	ck_assert_int_eq(patient_wait(&sender.receiver), 0);
	sender_close(&sender);
	return 0;
}

START_TEST(encoder_to_rdma)
{
	static const struct fbk_device_desc desc = {
		.struct_size = sizeof(struct fbk_device_desc),
		.name = "encoder",
		.device_class = FBK_CLASS_ENCODER,
		.waits = FBK_FENCE_MEMORY64,
		.signals = FBK_FENCE_MEMORY64,
	};
	enum back back = (enum back)_i;
	struct producer producer;
	struct peer sender;
	int offer;
	peer_start(&sender, sender_run, &back);
	producer_offer(&producer, &server, &desc, &offer);
	producer_fill(&producer, false);
	send_word(sender.socket, 0, offer);
	close(offer);
	producer_meet(&producer);
	uint64_t began = now_ms();
	for (int i = 0; i < LINK_FRAMES; i++) {
		producer_frame(&producer);
	}
	exchange_drain(producer.exchange, PRODUCER_BUFFERS);
	print_frames(back == BY_ATOMIC ? "sent by RDMA, release by an atomic"
				       : "sent by RDMA, release by completions",
		     LINK_FRAMES, began);
	producer_close(&producer);
	ck_assert_int_eq(patient_wait(&sender), 0);
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, encoder_to_rdma, BY_ATOMIC, BY_COMPLETION + 1);
}

int main(void)
{
	return lab_main_with("link rdma", rdma_start, rdma_stop, add);
}
