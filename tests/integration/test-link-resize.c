// SPDX-License-Identifier: MIT
/* A producer that changes the size and format of all its buffers, again and again: no frame is lost. */
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib-format.h"

/* ------------------------------------------------------------------------------------------- resizes -- */

#define RESIZES      (getenv("FBK_SOAK") ? 1000U : 100U)
#define RESIZE_SPARE 3 /* frames of each size */

struct resized {
	const uint64_t *maps[PRODUCER_BUFFERS];
	uint32_t widths[PRODUCER_BUFFERS];
	uint64_t imports;
};

static int resized_import(void *arg, struct fbk_link *link, uint32_t index,
			  const struct fbk_buffer_desc *buffer)
{
	struct resized *resized = arg;
	(void)link;
	EXPECT(index < PRODUCER_BUFFERS);
	if (resized->maps[index]) {
		munmap((void *)(uintptr_t)resized->maps[index], BUFFER_SIZE);
		resized->maps[index] = NULL;
	}
	if (buffer) {
		void *map = mmap(NULL, BUFFER_SIZE, PROT_READ, MAP_SHARED, buffer->fd[0], 0);
		EXPECT(map != MAP_FAILED);
		resized->maps[index] = map;
		resized->widths[index] = buffer->width;
		resized->imports++;
	}
	return 0;
}

/* Each frame is in the buffer that was imported last at its index, and holds its number; none is missing. */
static int resized_consume(int socket, void *arg)
{
	struct resized resized = { 0 };
	struct consumer consumer;
	struct fbk_frame *frame;
	uint64_t count = 0;
	(void)arg;
	consumer_open(&consumer, &stage.server, NULL, socket);
	EXPECT(fbk_link_import(consumer.link, resized_import, &resized) == 0);
	send_word(socket, 0, -1);
	while (fbk_link_next(consumer.link, deadline_ms(PATIENCE_MS), &frame) == 0) {
		uint32_t index = fbk_frame_index(frame);
		EXPECT(wait_point(frame, 0, NULL) == 0);
		EXPECT(resized.maps[index] && buffer_holds(resized.maps[index], ++count));
		EXPECT(resized.widths[index] == fbk_frame_buffer(frame)->width);
		EXPECT(frame_release(frame, 0) == 0);
	}
	EXPECT(resized.imports == UINT64_C(3) * RESIZES);
	for (uint32_t i = 0; i < PRODUCER_BUFFERS; i++) {
		EXPECT(!resized.maps[i] || resized.widths[i] == 16 + RESIZES - 1);
		EXPECT(!resized.maps[i] ||
		       munmap((void *)(uintptr_t)resized.maps[i], BUFFER_SIZE) == 0);
	}
	send_word(socket, count, -1);
	consumer_close(&consumer);
	return 0;
}

static void resize(struct producer *producer, uint32_t round)
{
	for (uint32_t i = 0; i < PRODUCER_BUFFERS; i++) {
		if (round > 0) {
			EXPECT(fbk_exchange_remove(producer->exchange, i) == 0);
			buffer_destroy(&producer->buffers[i]);
		}
		buffer_create(&producer->buffers[i]);
		struct fbk_buffer_desc desc = buffer_desc(&producer->buffers[i]);
		desc.width = 16 + round;
		desc.modifier = round % 3;
		int r = fbk_exchange_add(producer->exchange, i, &desc);
		ck_assert_msg(r == 0, "adding: %s", fbk_error_detail());
	}
	fbk_timeline_close(producer->timeline);
	producer->timeline = peer_timeline(producer->device, "drawn", 0);
}

START_TEST(resizes)
{
	struct producer producer = { .context = stage.context, .device = stage.device };
	struct fbk_format formats[3] = { format_of(XR24, 0), format_of(XR24, 1),
					 format_of(XR24, 2) };
	const struct fbk_format *list[] = { &formats[0], &formats[1], &formats[2] };
	struct source source;
	struct peer peer;
	source_open(&source, list, 3);
	producer.link = source.link;
	producer.exchange = source.exchange;
	producer.timeline = peer_timeline(stage.device, "drawn", 0);
	peer_start(&peer, resized_consume, NULL);
	send_word(peer.socket, 0, source.offer);
	receive_word(peer.socket, NULL);
	EXPECT(fbk_link_wait(source.link, deadline_ms(PATIENCE_MS)) == 0);
	for (uint32_t round = 0; round < RESIZES; round++) {
		uint64_t frame = producer.frame;
		resize(&producer, round);
		producer.frame = 0; /* a timeline of its own */
		for (uint64_t i = 1; i <= RESIZE_SPARE + PRODUCER_BUFFERS; i++) {
			uint32_t index = producer_hand(&producer);
			buffer_write(&producer.buffers[index], frame + i);
			EXPECT(fbk_timeline_signal(producer.timeline, i) == 0);
		}
		producer.frame += frame;
		producer_take_all(&producer);
	}
	fbk_link_stop(source.link);
	ck_assert_uint_eq(receive_word(peer.socket, NULL), producer.frame);
	ck_assert_uint_eq(producer.frame, (uint64_t)RESIZES * (RESIZE_SPARE + PRODUCER_BUFFERS));
	ck_assert_int_eq(peer_wait(&peer), 0);
	for (uint32_t i = 0; i < PRODUCER_BUFFERS; i++) {
		buffer_destroy(&producer.buffers[i]);
	}
	source_close(&source);
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, stage_setup, stage_teardown);
	tcase_add_test(tcase, resizes);
}

int main(void)
{
	return suite_main("link-resize", add);
}
