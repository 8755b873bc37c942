// SPDX-License-Identifier: MIT
/* fbk_link_next(): frames as they come, and their buffers. */
#include <errno.h>
#include <string.h>

#include "client/lib/error.h"
#include "client/lib/request.h"
#include "client/lib/timeline.h"
#include "frame.h"
#include "link-point.h"
#include "link.h"

static void buffer_take(struct link_buffer *buffer, const Fbk__Wire__Buffer *wire, uint64_t epoch,
			struct reply *reply)
{
	struct fbk_buffer_desc *desc = &buffer->desc;
	size_t planes = wire->n_offset < wire->n_stride ? wire->n_offset : wire->n_stride;
	*desc = (struct fbk_buffer_desc){
		.fd = reply->fds[0],
		.width = wire->width,
		.height = wire->height,
		.format = wire->format,
		.modifier = wire->modifier,
		.plane_count = (uint32_t)(planes < FBK_PLANES_MAX ? planes : FBK_PLANES_MAX),
	};
	memcpy(desc->offset, wire->offset, desc->plane_count * sizeof(desc->offset[0]));
	memcpy(desc->stride, wire->stride, desc->plane_count * sizeof(desc->stride[0]));
	buffer->generation = wire->generation;
	buffer->epoch = epoch;
	reply->fds[0] = -1;
}

/* Asked for when it first comes, and again when another lies in its place. */
static int buffer_get(struct fbk_link *link, const struct lane_entry *entry)
{
	struct link_consumer *half = link->consumer;
	struct link_buffer *buffer = &half->buffers[entry->index];
	struct reply reply;
	if (buffer->desc.fd >= 0 && buffer->generation == entry->generation &&
	    buffer->epoch == link->epoch) {
		return 0;
	}
	REQUEST(request, LINK_BUFFER_GET, link_buffer_get, .handle = link->state->handle,
		.index = entry->index, .epoch = link->epoch);
	int r = request_call(link->context, &request, NULL, 0, 1, &reply);
	if (r < 0) {
		return r;
	}
	link_buffer_clear(buffer);
	if (reply.message->body_case == FBK__WIRE__MESSAGE__BODY_BUFFER &&
	    reply.message->buffer->generation == entry->generation) {
		buffer_take(buffer, reply.message->buffer, link->epoch, &reply);
	} else {
		r = error_set(-ESTALE, "buffer %u is not the one that was handed over",
			      entry->index);
	}
	reply_finish(&reply);
	return r;
}

/* What the route asks of the library before the program sees the frame. -EAGAIN: to wait for its point. */
static int frame_prepare(struct fbk_frame *frame)
{
	struct fbk_link *link = frame->link;
	struct link_consumer *half = link->consumer;
	int fd = half->buffers[frame->index].desc.fd;
	int r;
	switch (link->info.acquire) {
	case FBK_ROUTE_CPU_WAIT:
		r = fbk_point_check(frame->acquire);
		if (r == 0 && frame->acquire.timeline->visibility == FBK_VISIBLE_FLUSH) {
			int kind = fbk_fence_classify(link->context, fd);
			r = kind == FBK_DMA_BUF_IMPLICIT
				    ? fbk_point_flush_dmabuf(frame->acquire, fd)
				    : 0; /* a memfd is flushed where it is mapped, which the library does not know */
		}
		return r;
	case FBK_ROUTE_DMA_BUF_IMPLICIT:
		return fbk_point_attach_dmabuf(frame->acquire, fd, true);
	default:
		return 0;
	}
}

static bool frames_have(struct fbk_link *link, uint32_t index)
{
	struct link_consumer *half = link->consumer;
	for (uint64_t n = half->oldest; n < link->next; n++) {
		if (frame_at(half, n)->index == index) {
			return true;
		}
	}
	return false;
}

static int frame_fill(struct fbk_link *link, struct fbk_frame **ret_frame)
{
	struct link_consumer *half = link->consumer;
	struct lane_entry entry;
	int r = lane_receive(&link->in, link->next, &entry);
	if (r < 0) {
		return r;
	}
	if (link->next - half->oldest >= FBK_RING_SIZE || frames_have(link, entry.index)) {
		return error_set(-EPROTO, "the peer hands over buffer %u, which is here already",
				 entry.index);
	}
	struct fbk_frame *frame = frame_at(half, link->next);
	frame_clear(frame);
	frame->link = link;
	frame->sequence = entry.sequence;
	frame->index = entry.index;
	r = link_point_of(link, &entry, &frame->acquire);
	if (r == 0) {
		r = buffer_get(link, &entry);
	}
	*ret_frame = frame;
	return r;
}

/* The next frame is there: 0, -EAGAIN while its point is not reached, or the error that it goes back with. */
static int frame_receive(struct fbk_link *link, struct fbk_frame **ret_frame)
{
	struct fbk_frame *frame = NULL;
	int r = frame_fill(link, &frame);
	if (!frame || r == -ENOTCONN) {
		if (r == -EPROTO) {
			link_give_up(link, r, fbk_error_detail());
			error_set(r, "%s", link->info.cause);
		}
		return r;
	}
	if (r < 0 && link_refresh(link) == 0 && link->info.phase == FBK_LINK_ENDED) {
		return link_over(link); /* the reason why the daemon had nothing to give */
	}
	if (r == 0) {
		r = frame_prepare(frame);
	}
	*ret_frame = frame;
	if (r == -EAGAIN || r == -ENOTCONN) {
		return r;
	}
	link->next++;
	frame->held = r == 0;
	if (r < 0) {
		frame_give_back(frame, r);
		frames_return(link);
	}
	return r;
}

/* One look: 0, -EAGAIN with what to wait for next, or an error. */
static int link_try_next(struct fbk_link *link, struct fbk_frame **ret_frame,
			 struct fbk_point points[2], bool *ret_open)
{
	int r = link_refresh(link);
	points[0] = (struct fbk_point){ link->in.timeline, link->next };
	points[1] = link_change(link);
	*ret_open = r == 0 && link_open(link);
	if (*ret_open && fbk_point_check(points[0]) == 0) {
		struct fbk_frame *frame = NULL;
		r = frame_receive(link, &frame);
		if (r == 0) {
			*ret_frame = frame;
		}
		if (r != -EAGAIN) {
			return r;
		}
		points[0] = frame->acquire; /* then it is looked at anew */
		r = 0;
	}
	if (r == 0 && link->info.phase == FBK_LINK_ENDED) {
		r = link_over(link);
	}
	return r == 0 ? -EAGAIN : r;
}

int fbk_link_next(struct fbk_link *link, uint64_t deadline_ns, struct fbk_frame **ret_frame)
{
	size_t index;
	if (link->role != FBK_CONSUMER) {
		return error_set(-EINVAL, "this end of the link is the producer's");
	}
	for (;;) {
		struct fbk_point points[2];
		bool open;
		pthread_mutex_lock(link->lock);
		int r = link_try_next(link, ret_frame, points, &open);
		pthread_mutex_unlock(link->lock);
		if (r != -EAGAIN) {
			return r;
		}
		r = open ? fbk_point_wait_any(points, 2, deadline_ns, &index)
			 : fbk_point_wait(points[1], deadline_ns);
		if (r == -ETIMEDOUT || r == -EBADF || r == -ENOTCONN) {
			return r;
		}
	}
}
