// SPDX-License-Identifier: MIT
#include "frame.h"

#include <errno.h>
#include <unistd.h>

#include "client/lib/error.h"
#include "client/lib/point.h"
#include "client/lib/timeline.h"
#include "link-point.h"
#include "link.h"

void frame_clear(struct fbk_frame *frame)
{
	if (frame->sequence && frame->acquire_fd >= 0) {
		close(frame->acquire_fd);
	}
	*frame = (struct fbk_frame){ .acquire_fd = -1 };
}

void link_buffer_clear(struct link_buffer *buffer)
{
	if (buffer->desc.fd >= 0) {
		close(buffer->desc.fd);
	}
	*buffer = (struct link_buffer){ .desc.fd = -1 };
}

void frames_drop(struct link_consumer *half)
{
	for (uint32_t i = 0; i < FBK_RING_SIZE; i++) {
		frame_clear(&half->frames[i]);
	}
	for (uint32_t i = 0; i < FBK_BUFFERS_MAX; i++) {
		link_buffer_clear(&half->buffers[i]);
	}
}

int frames_return(struct fbk_link *link)
{
	struct link_consumer *half = link->consumer;
	int r = 0;
	while (half->oldest < link->next) {
		struct fbk_frame *frame = frame_at(half, half->oldest);
		if (frame->held) {
			break;
		}
		int one = lane_send(&link->out, &frame->back);
		r = one < 0 ? one : r;
		frame_clear(frame);
		half->oldest++;
	}
	return r;
}

void frame_give_back(struct fbk_frame *frame, int result)
{
	frame->held = false;
	frame->back = (struct lane_entry){
		.sequence = frame->sequence,
		.index = frame->index,
		.result = result,
	};
}

uint32_t fbk_frame_index(const struct fbk_frame *frame)
{
	return frame->index;
}

const struct fbk_buffer_desc *fbk_frame_buffer(const struct fbk_frame *frame)
{
	static const struct fbk_buffer_desc nothing = { .fd = -1 };
	/* read once: another thread may find that the producer is gone */
	const struct fbk_link *link = *(struct fbk_link *const volatile *)&frame->link;
	return link ? &link->consumer->buffers[frame->index].desc : &nothing;
}

int fbk_frame_dmabuf(const struct fbk_frame *frame)
{
	return fbk_frame_buffer(frame)->fd;
}

struct fbk_point fbk_frame_acquire(const struct fbk_frame *frame)
{
	return frame->acquire;
}

static int frame_check(const struct fbk_frame *frame)
{
	const struct fbk_link *link = frame->link;
	if (!link || !frame->held) {
		return error_set(-ESTALE, "that frame was given back, or its producer is gone");
	}
	if (frame->sequence != link->consumer->oldest) {
		return error_set(-EINVAL,
				 "frame %llu is out of turn: frame %llu is given back first",
				 (unsigned long long)frame->sequence,
				 (unsigned long long)link->consumer->oldest);
	}
	return 0;
}

int fbk_frame_acquire_fd(struct fbk_frame *frame)
{
	struct fbk_link *link = frame->link;
	if (!link || (!frame->held && frame->acquire_fd < 0)) {
		return frame_check(frame);
	}
	if (frame->acquire_fd < 0) {
		int r = link_fence(link, link->info.acquire, frame->acquire, &frame->acquire_fd);
		if (r < 0) {
			return r;
		}
	}
	return frame->acquire_fd;
}

int fbk_frame_release(struct fbk_frame *frame, int result)
{
	struct fbk_link *link = frame->link;
	if (!link) {
		return frame_check(frame);
	}
	pthread_mutex_lock(link->lock);
	int r = frame_check(frame);
	if (r == 0) {
		frame_give_back(frame, result < -4095 || result > 0 ? -EINVAL : result);
		r = frames_return(link);
	}
	pthread_mutex_unlock(link->lock);
	return r;
}

static int frame_release_at(struct fbk_frame *frame, struct fbk_point release)
{
	struct fbk_link *link = frame->link;
	int number = link_number_of(link, release.timeline);
	if (number < 0) {
		return number;
	}
	frame_give_back(frame, 0);
	frame->back.timeline = (uint32_t)number;
	frame->back.value = number ? release.value : 0;
	return frames_return(link);
}

int fbk_frame_release_at(struct fbk_frame *frame, struct fbk_point release)
{
	struct fbk_link *link = frame->link;
	if (release.timeline && (release.value == 0 || release.value > FBK_POINT_MAX)) {
		return error_set(-ERANGE, "%llu is not a point", (unsigned long long)release.value);
	}
	if (!link) {
		return frame_check(frame);
	}
	pthread_mutex_lock(link->lock);
	int r = frame_check(frame);
	if (r == 0) {
		r = frame_release_at(frame, release);
	}
	pthread_mutex_unlock(link->lock);
	return r;
}

/* The timeline whose points follow kernel fences: made anew when a fence failed it. */
static int frame_fences(struct fbk_link *link)
{
	struct link_consumer *half = link->consumer;
	if (half->fences && timeline_check(half->fences, FBK_POINT_MAX) != -EAGAIN) {
		fbk_timeline_close(half->fences);
		half->fences = NULL;
	}
	return half->fences ? 0
			    : fbk_timeline_create(link->device, NULL, "released",
						  FBK_TIMELINE_BROKERED, &half->fences);
}

static int frame_follow(struct fbk_frame *frame, int fence_fd)
{
	struct fbk_link *link = frame->link;
	int r = frame_check(frame);
	if (r == 0) {
		r = frame_fences(link);
	}
	if (r < 0) {
		close(fence_fd);
		return r;
	}
	struct fbk_point point = { link->consumer->fences, frame->sequence };
	r = fbk_point_signal_on(point, fence_fd);
	return r < 0 ? r : frame_release_at(frame, point);
}

int fbk_frame_release_on(struct fbk_frame *frame, int fence_fd)
{
	struct fbk_link *link = frame->link;
	if (!link) {
		close(fence_fd);
		return frame_check(frame);
	}
	pthread_mutex_lock(link->lock);
	int r = frame_follow(frame, fence_fd);
	pthread_mutex_unlock(link->lock);
	return r;
}
