// SPDX-License-Identifier: MIT
#include "lib-link.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xf86drm.h>

void expect_routes(struct fbk_link *link, enum fbk_route acquire, enum fbk_route release)
{
	struct fbk_link_info info;
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

static void exchange_fill(struct fbk_exchange *exchange, const struct buffer *buffers,
			  uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		struct fbk_buffer_desc desc = buffer_desc(&buffers[i]);
		int r = fbk_exchange_add(exchange, i, &desc);
		ck_assert_msg(r == 0, "adding a buffer: %s", fbk_error_detail());
	}
}

void exchange_drain(struct fbk_exchange *exchange, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		uint32_t index;
		int r = fbk_exchange_take(exchange, deadline_ms(PATIENCE_MS), &index);
		ck_assert_msg(r == 0, "taking back: %s", fbk_error_detail());
	}
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
	exchange_fill(producer->exchange, producer->buffers, PRODUCER_BUFFERS);
}

void link_producer_open(struct producer *producer, const struct daemon *daemon,
			const struct fbk_device_desc *desc, int *ret_offer_fd)
{
	*producer = (struct producer){ .context = peer_connect(daemon) };
	producer->device = link_device(producer->context, desc);
	producer->timeline = peer_timeline(producer->device, "drawn", 0);
	EXPECT(fbk_link_offer(producer->device, FBK_PRODUCER, ret_offer_fd, &producer->link) == 0);
	EXPECT(fbk_exchange_create(producer->link, &producer->exchange) == 0);
}

void producer_meet(struct producer *producer)
{
	int r = fbk_link_wait(producer->link, deadline_ms(PATIENCE_MS));
	ck_assert_msg(r == 0, "meeting: %s", fbk_error_detail());
}

uint32_t producer_hand(struct producer *producer)
{
	uint32_t index;
	struct fbk_point acquire = { producer->timeline, ++producer->frame };
	int r = fbk_exchange_take(producer->exchange, deadline_ms(PATIENCE_MS), &index);
	ck_assert_msg(r == 0, "taking: %s", fbk_error_detail());
	r = fbk_exchange_hand(producer->exchange, index, acquire, deadline_ms(PATIENCE_MS), NULL,
			      NULL);
	ck_assert_msg(r == 0, "handing over: %s", fbk_error_detail());
	return index;
}

void producer_draw(struct producer *producer, uint32_t index)
{
	buffer_write(&producer->buffers[index], producer->frame);
	EXPECT(fbk_timeline_signal(producer->timeline, producer->frame) == 0);
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
		*map = mmap(NULL, BUFFER_SIZE, protection, MAP_SHARED, fbk_frame_dmabuf(frame), 0);
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
