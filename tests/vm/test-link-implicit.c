// SPDX-License-Identifier: MIT
/*
 * A consumer that knows implicit fences only: it has the dma-buf, adds its own fence as a reader,
 * and polls. A process between it and the link passes frames on, and never waits.
 */
#include <errno.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib-link.h"

#define OVER UINT64_MAX /* sent instead of a frame */

static struct daemon server;
static _Atomic uint64_t *done; /* frames that the reader is done with; in memory that is shared */

static void setup(void)
{
	daemon_serve(&server, lab_policy(60000));
	done = shared_memory(sizeof(*done));
}

static void teardown(void)
{
	munmap((void *)done, sizeof(*done));
	daemon_stop(&server);
}

/* ------------------------------------------------------------------------- dma-bufs and no more -- */

/* Frames that the reader works on at once: all buffers but the one being drawn. */
#define HELD (PRODUCER_BUFFERS - 1)

struct reader {
	int fences; /* the test driver's */
	int dmabufs[PRODUCER_BUFFERS];
	const uint64_t *words[PRODUCER_BUFFERS];
	struct work {
		uint64_t index;
		uint32_t fence;
	} work[HELD]; /* by number */
};

static void reader_learn(struct reader *reader, int socket)
{
	for (size_t i = 0; i < PRODUCER_BUFFERS; i++) {
		int *dmabuf = &reader->dmabufs[i];
		receive_word(socket, dmabuf);
		reader->words[i] = mmap(NULL, BUFFER_SIZE, PROT_READ, MAP_SHARED, *dmabuf, 0);
		EXPECT(reader->words[i] != MAP_FAILED);
	}
}

static void reader_finish(struct reader *reader, uint64_t number)
{
	const struct work *work = &reader->work[number % HELD];
	yield_briefly(); /* reading takes time */
	EXPECT(buffer_holds(reader->words[work->index], number));
	/* release: before the producer may see the buffer free */
	atomic_store_explicit(done, number, memory_order_release);
	EXPECT(test_fence_signal(reader->fences, work->fence, 0) == 0);
}

/* As a driver with new work: it adds its fence to the buffer before the work can begin. */
static void reader_begin(struct reader *reader, int socket, uint64_t index, uint64_t number)
{
	struct work work = { .index = index };
	int dmabuf = reader->dmabufs[index];
	int fence = test_fence_create(reader->fences, &work.fence);
	EXPECT(dmabuf_import_sync_file(dmabuf, fence, false) == 0);
	close(fence);
	EXPECT(readable_within(dmabuf, 0) == 0); /* it is not drawn yet */
	send_word(socket, number, -1);
	EXPECT(readable_within(dmabuf, PATIENCE_MS) == 1);
	EXPECT(buffer_holds(reader->words[index], number));
	if (number > HELD) {
		reader_finish(reader, number - HELD);
	}
	reader->work[number % HELD] = work;
}

static int reader_run(int socket, void *arg)
{
	static struct reader reader;
	uint64_t index, number = 0;
	(void)arg;
	reader.fences = test_fence_open();
	reader_learn(&reader, socket);
	while (number < LINK_FRAMES) {
		index = patient_word(socket);
		reader_begin(&reader, socket, index, ++number);
	}
	for (uint64_t n = number - HELD + 1; n <= number; n++) {
		reader_finish(&reader, n);
	}
	ck_assert_uint_eq(patient_word(socket), OVER);
	return 0;
}

/* ----------------------------------------------------------------------------------- in between -- */

struct go_between {
	struct consumer consumer;
	struct peer reader;
	int producer; /* socket */
};

/* The producer draws once the reader's fence is in the buffer; that fence, whatever it is, becomes
 * the release. */
static void pass_on(struct go_between *between, struct fbk_frame *frame, uint64_t number)
{
	send_word(between->reader.socket, fbk_frame_index(frame), -1);
	ck_assert_uint_eq(patient_word(between->reader.socket), number);
	int fence = dmabuf_export_sync_file(frame_fd(frame), true);
	EXPECT(fence >= 0 && sync_file_status(fence) == 0);
	int r = fbk_frame_release_on(frame, fence);
	ck_assert_msg(r == 0, "fbk_frame_release_on: %s", fbk_error_detail());
	fbk_frame_unref(frame);
	send_word(between->producer, number, -1);
}

static int between_run(int socket, void *arg)
{
	static const struct fbk_device_desc desc = {
		.struct_size = sizeof(struct fbk_device_desc),
		.name = "old-encoder",
		.device_class = FBK_CLASS_ENCODER,
		.waits = FBK_FENCE_DMA_BUF_IMPLICIT,
		.signals = FBK_FENCE_DMA_BUF_IMPLICIT,
	};
	static struct go_between between;
	struct fbk_frame *frame;
	uint64_t number = 0;
	int dmabuf;
	(void)arg;
	between.producer = socket;
	peer_start(&between.reader, reader_run, NULL);
	for (size_t i = 0; i < PRODUCER_BUFFERS; i++) {
		receive_word(socket, &dmabuf);
		send_word(between.reader.socket, 0, dmabuf);
		close(dmabuf);
	}
	consumer_open(&between.consumer, &server, &desc, socket);
	expect_routes(between.consumer.link, FBK_ROUTE_DMA_BUF_IMPLICIT, FBK_ROUTE_CPU_WAIT);
	while ((frame = consumer_next(&between.consumer))) {
		pass_on(&between, frame, ++number);
	}
	send_word(between.reader.socket, OVER, -1);
	ck_assert_int_eq(patient_wait(&between.reader), 0);
	consumer_close(&between.consumer);
	return 0;
}

START_TEST(reader_of_dmabufs)
{
	static const struct fbk_device_desc desc = {
		.struct_size = sizeof(struct fbk_device_desc),
		.name = "gpu",
		.device_class = FBK_CLASS_GPU,
		.waits = FBK_FENCE_MEMORY64,
		.signals = FBK_FENCE_MEMORY64,
	};
	struct producer producer;
	struct peer between;
	int offer;
	peer_start(&between, between_run, NULL);
	producer_offer(&producer, &server, &desc, &offer);
	producer_fill(&producer, true);
	for (size_t i = 0; i < PRODUCER_BUFFERS; i++) {
		send_word(between.socket, 0, producer.buffers[i].fd);
	}
	send_word(between.socket, 0, offer);
	close(offer);
	producer_meet(&producer);
	uint64_t began = now_ms();
	producer_frames_on_demand(&producer, done, between.socket);
	print_frames("read by a peer with dma-bufs only", LINK_FRAMES, began);
	producer_close(&producer);
	ck_assert_int_eq(patient_wait(&between), 0);
	ck_assert_uint_eq(lab_counter(&server, "promises_kept"), LINK_FRAMES);
	ck_assert_uint_eq(lab_counter(&server, "promises_broken"), 0);
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, reader_of_dmabufs);
}

int main(void)
{
	int fences = in_guest() ? test_fence_open() : 0;
	if (fences < 0) {
		return skip("the test driver, whose fences the reader signals, is not loaded");
	}
	if (fences > 0) {
		close(fences);
	}
	return lab_main("link implicit", "vgem", add);
}
