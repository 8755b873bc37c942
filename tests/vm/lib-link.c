// SPDX-License-Identifier: MIT
#include "lib-link.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xf86drm.h>

void expect_routes(struct fbk_link *link, enum fbk_route acquire, enum fbk_route release)
{
	struct fbk_link_info info = { .struct_size = sizeof(info) };
	EXPECT(fbk_link_info(link, &info) == 0);
	ck_assert_msg(info.acquire == acquire, "acquire by route %d: %s", info.acquire,
		      info.acquire_why);
	ck_assert_msg(info.release == release, "release by route %d: %s", info.release,
		      info.release_why);
}

/* ------------------------------------------------------------------------------------- buffers -- */

static void dmabuf_create(struct buffer *buffer, int card)
{
	uint32_t handle;
	EXPECT(vgem_buffer_create(card, &handle, &buffer->fd) == 0);
	drm_buffer_close(card, handle); /* the dma-buf keeps it */
	buffer->words = mmap(NULL, BUFFER_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, buffer->fd, 0);
	EXPECT(buffer->words != MAP_FAILED);
}

/* ---------------------------------------------------------------------------------- a producer -- */

void producer_fill(struct producer *producer, bool dmabufs)
{
	int card = dmabufs ? drm_card_must_open("vgem") : -1;
	for (size_t i = 0; i < PRODUCER_BUFFERS; i++) {
		if (dmabufs) {
			dmabuf_create(&producer->buffers[i], card);
		} else {
			buffer_create(&producer->buffers[i]);
		}
	}
	close(card);
	producer_add(producer);
}

void producer_meet(struct producer *producer)
{
	int r = fbk_link_wait(producer->link, deadline_ms(PATIENCE_MS));
	ck_assert_msg(r == 0, "meeting: %s", fbk_error_detail());
}

void producer_frames_on_demand(struct producer *producer, const _Atomic uint64_t *done, int socket)
{
	for (uint64_t number = 1; number <= LINK_FRAMES; number++) {
		uint32_t index = producer_hand(producer);
		/* acquire: pairs with the release of the process that stored it */
		uint64_t read = atomic_load_explicit(done, memory_order_acquire);
		EXPECT(read + PRODUCER_BUFFERS >= number); /* the previous frame in this buffer */
		ck_assert_uint_eq(patient_word(socket), number);
		producer_draw(producer, index);
	}
	exchange_drain(producer->exchange, PRODUCER_BUFFERS);
}

/* ---------------------------------------------------------------------------------- a consumer -- */

struct fbk_frame *consumer_next(const struct consumer *consumer)
{
	struct fbk_frame *frame = NULL;
	int r = fbk_link_next(consumer->link, deadline_ms(PATIENCE_MS), &frame);
	ck_assert_msg(r == 0 || r == -EPIPE, "the link ends with %d: %s", r, fbk_error_detail());
	return frame;
}

uint64_t *frame_words(const struct fbk_frame *frame, int protection)
{
	static uint64_t *maps[FBK_BUFFERS_MAX];
	uint64_t **map = &maps[fbk_frame_index(frame)];
	if (!*map) {
		*map = mmap(NULL, BUFFER_SIZE, protection, MAP_SHARED, frame_fd(frame), 0);
		EXPECT(*map != MAP_FAILED);
	}
	return *map;
}

/* --------------------------------------------------------------------------- syncobjs, patience -- */

bool has_syncobj_eventfd(void)
{
	int fd = drm_render_open("virtio_gpu");
	bool has = fd >= 0 && drm_cap(fd, DRM_CAP_SYNCOBJ_TIMELINE) && kernel_is(6, 6);
	close(fd);
	return has;
}

uint64_t patient_word(int socket)
{
	EXPECT(readable_within(socket, -1) == 1);
	return receive_word(socket, NULL);
}

int patient_wait(struct peer *peer)
{
	EXPECT(readable_within(peer->socket, -1) == 1);
	return peer_wait(peer);
}

void print_frames(const char *what, unsigned int frames, uint64_t began_ms)
{
	printf("%s: %u frames in %llu ms\n", what, frames,
	       (unsigned long long)(now_ms() - began_ms));
}
