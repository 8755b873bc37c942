// SPDX-License-Identifier: MIT
#include "lib-stage.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct daemon server;
struct producer producer;
int offer;

static enum way way;
static struct buffer extra[STAGE_BUFFERS_MAX];
static uint32_t buffers;

void stage_open(enum way chosen, const char *policy)
{
	way = chosen;
	buffers = PRODUCER_BUFFERS;
	daemon_serve(&server, policy);
	producer_open(&producer, &server,
		      way == WAY_EVENTFD ? FBK_FENCE_EVENTFD : FBK_FENCE_MEMORY64,
		      FBK_FENCE_MEMORY64, &offer);
}

void stage_close(void)
{
	close(offer);
	producer_close(&producer);
	for (; buffers > PRODUCER_BUFFERS; buffers--) {
		buffer_destroy(&extra[buffers - 1]);
	}
	daemon_end(&server);
}

void stage_add(uint32_t count)
{
	for (; buffers < count; buffers++) {
		buffer_create(&extra[buffers]);
		struct fbk_buffer_desc desc = buffer_desc(&extra[buffers]);
		EXPECT(fbk_exchange_add(producer.exchange, buffers, &desc) == 0);
	}
}

struct buffer *stage_buffer(uint32_t index)
{
	return index < PRODUCER_BUFFERS ? &producer.buffers[index] : &extra[index];
}

bool soak(void)
{
	return getenv("FBK_SOAK") != NULL;
}

unsigned int count_of(unsigned int full, unsigned int part)
{
	return soak() ? full : full / part;
}

uint32_t draw(uint64_t *seed, uint32_t below)
{
	*seed = *seed * 6364136223846793005U + 1442695040888963407U;
	return (uint32_t)(*seed >> 33) % below;
}

/* ------------------------------------------------------------------------------------ consumers -- */

void local_open_at(struct local *local, int fd, struct fbk_link *from, enum fbk_delivery delivery,
		   uint32_t hold)
{
	local->context = peer_connect(&server);
	local->device = exchange_device(local->context, "local",
					way == WAY_EVENTFD ? FBK_FENCE_EVENTFD : FBK_FENCE_MEMORY64,
					FBK_FENCE_MEMORY64 | FBK_FENCE_EVENTFD);
	int r = link_accept_as(local->device, fd, delivery, hold, &local->link);
	ck_assert_msg(r == 0, "accepting: %s", fbk_error_detail());
	EXPECT(fbk_link_wait(from, deadline_ms(PATIENCE_MS)) == 0);
}

void local_open(struct local *local, enum fbk_delivery delivery, uint32_t hold)
{
	local_open_at(local, offer, producer.link, delivery, hold);
}

void local_close(struct local *local)
{
	fbk_link_close(local->link);
	fbk_disconnect(local->context);
}

struct fbk_frame *local_next(struct local *local)
{
	struct fbk_frame *frame = NULL;
	int r = fbk_link_next(local->link, deadline_ms(PATIENCE_MS), &frame);
	ck_assert_msg(r == 0, "the next frame: %s", fbk_error_detail());
	return frame;
}

int local_try(struct local *local)
{
	struct fbk_frame *frame = NULL;
	int r = fbk_link_next(local->link, 0, &frame);
	fbk_frame_unref(frame);
	return r;
}

int frame_arrive(struct fbk_frame *frame)
{
	if (way == WAY_NATIVE) {
		return fbk_point_wait(fbk_frame_acquire(frame), deadline_ms(PATIENCE_MS));
	}
	struct pollfd entry = { .fd = fbk_frame_acquire_fd(frame, deadline_ms(PATIENCE_MS)),
				.events = POLLIN };
	ck_assert_msg(entry.fd >= 0, "an acquire fd: %s", fbk_error_detail());
	EXPECT(poll(&entry, 1, PATIENCE_MS) == 1);
	return fbk_frame_error(frame);
}

struct fbk_frame *local_expect(struct local *local, uint64_t number)
{
	struct fbk_frame *frame = local_next(local);
	ck_assert_int_eq(frame_arrive(frame), 0);
	EXPECT(buffer_holds(stage_buffer(fbk_frame_index(frame))->words, number));
	return frame;
}

void frame_release_to(struct fbk_frame *frame, bool by_fence, struct fate *ret_fate)
{
	*ret_fate = (struct fate){ .fence = by_fence ? eventfd(0, EFD_CLOEXEC) : -1 };
	int r = by_fence ? fbk_frame_release_on(frame, dup(ret_fate->fence))
			 : fbk_frame_release_later(frame, &ret_fate->point);
	ck_assert_msg(r == 0, "releasing: %s", fbk_error_detail());
	fbk_frame_unref(frame);
}

void frame_release_by_way(struct fbk_frame *frame, struct fate *ret_fate)
{
	frame_release_to(frame, way == WAY_EVENTFD, ret_fate);
}

void fate_decide(struct fate *fate, int error)
{
	if (fate->fence >= 0) {
		EXPECT(error == 0 && eventfd_write(fate->fence, 1) == 0);
		close(fate->fence);
	} else {
		EXPECT((error ? fbk_timeline_fail(fate->point.timeline, error, NULL)
			      : fbk_point_signal(fate->point)) == 0);
	}
}

/* ------------------------------------------------------------------------------------- producer -- */

uint32_t take(void)
{
	uint32_t index;
	int r = fbk_exchange_take(producer.exchange, deadline_ms(PATIENCE_MS), &index, NULL);
	ck_assert_msg(r == 0, "taking: %s", fbk_error_detail());
	return index;
}

int take_now(void)
{
	uint32_t index;
	int r = fbk_exchange_take(producer.exchange, 0, &index, NULL);
	return r == 0 ? (int)index : r;
}

int hand_at(uint32_t index, struct fbk_point acquire)
{
	return fbk_exchange_hand(producer.exchange, index, acquire, deadline_ms(PATIENCE_MS), NULL,
				 NULL, NULL);
}

int hand(uint32_t index)
{
	return hand_at(index, FBK_POINT_SIGNALLED);
}

uint64_t stage_frame(uint32_t *ret_index)
{
	uint32_t index = take();
	uint64_t number = ++producer.frame;
	int r = hand_at(index, (struct fbk_point){ producer.timeline, number });
	ck_assert_msg(r > 0, "handing over: %d, %s", r, fbk_error_detail());
	buffer_write(stage_buffer(index), number);
	EXPECT(fbk_timeline_signal(producer.timeline, number) == 0);
	if (ret_index) {
		*ret_index = index;
	}
	return number;
}
