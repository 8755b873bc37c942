// SPDX-License-Identifier: MIT
/* The consumer's side: frames as they come, what to wait for, and giving them back in order. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "context.h"
#include "error.h"
#include "link.h"
#include "point.h"
#include "request.h"
#include "timeline.h"
#include "watch-arm.h"

static struct fbk_frame *frame_at(struct fbk_link *link, uint64_t sequence)
{
	return &link->frames[sequence % FBK_RING_SIZE];
}

static void frame_clear(struct fbk_frame *frame)
{
	if (frame->sequence && frame->acquire_fd >= 0) {
		close(frame->acquire_fd);
	}
	*frame = (struct fbk_frame){ .acquire_fd = -1 };
}

static void buffer_forget(struct link_buffer *buffer)
{
	if (buffer->desc.fd >= 0) {
		close(buffer->desc.fd);
	}
	*buffer = (struct link_buffer){ .desc.fd = -1 };
}

void frames_drop(struct fbk_link *link)
{
	for (uint32_t i = 0; i < FBK_RING_SIZE; i++) {
		frame_clear(&link->frames[i]);
	}
	for (uint32_t i = 0; i < FBK_BUFFERS_MAX; i++) {
		buffer_forget(&link->buffers[i]);
	}
}

static void frame_unwatch(struct fbk_link *link)
{
	watch_cancel(link->context, link->frame_watch);
	link->frame_watch = NULL;
}

void frames_unwatch(struct fbk_link *link)
{
	frame_unwatch(link);
	watch_cancel(link->context, link->change_watch);
	link->change_watch = NULL;
}

/* The producer is gone: nobody wants back what it gave. The fds stay open until others come in their places,
 * since somebody may be looking at them. */
static void producer_lost(struct fbk_link *link, int error)
{
	(void)error;
	frame_unwatch(link); /* its timeline goes; the change is heard */
	for (uint32_t i = 0; i < FBK_RING_SIZE; i++) {
		link->frames[i].held = false;
	}
	link->oldest = link->next;
}

int frames_refresh(struct fbk_link *link)
{
	return link_refresh(link, producer_lost);
}

/* ------------------------------------------------------------------------------------- buffers -- */

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
	struct link_buffer *buffer = &link->buffers[entry->index];
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
	buffer_forget(buffer);
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

/* ---------------------------------------------------------------------------------- giving back -- */

/* In order: what is done goes, up to the first that is held. */
static int frames_return(struct fbk_link *link)
{
	int r = 0;
	while (link->oldest < link->next) {
		struct fbk_frame *frame = frame_at(link, link->oldest);
		if (frame->held) {
			break;
		}
		int one = lane_send(&link->out, &frame->back);
		r = one < 0 ? one : r;
		frame_clear(frame);
		link->oldest++;
	}
	return r;
}

static void frame_give_back(struct fbk_frame *frame, int result)
{
	frame->held = false;
	frame->back = (struct lane_entry){
		.sequence = frame->sequence,
		.index = frame->index,
		.result = result,
	};
}

/* ----------------------------------------------------------------------------------------- next -- */

/* What the route asks of the library before the program sees the frame. -EAGAIN: to wait for its point. */
static int frame_prepare(struct fbk_frame *frame)
{
	struct fbk_link *link = frame->link;
	int fd = link->buffers[frame->index].desc.fd;
	int r;
	switch (link->info.acquire) {
	case FBK_ROUTE_CPU_WAIT:
		r = fbk_point_check(frame->acquire);
		if (r == 0 && frame->acquire.timeline->visibility == FBK_VISIBLE_FLUSH) {
			int kind = fbk_fence_classify(link->context, fd);
			r = kind == FBK_DMA_BUF_IMPLICIT
				    ? fbk_point_flush_dmabuf(frame->acquire, fd)
				    : 0; /* a memfd: by where it is mapped, which is not known here */
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
	for (uint64_t n = link->oldest; n < link->next; n++) {
		if (frame_at(link, n)->index == index) {
			return true;
		}
	}
	return false;
}

static int frame_fill(struct fbk_link *link, struct fbk_frame **ret_frame)
{
	struct lane_entry entry;
	int r = lane_receive(&link->in, link->next, &entry);
	if (r < 0) {
		return r;
	}
	if (link->next - link->oldest >= FBK_RING_SIZE || frames_have(link, entry.index)) {
		return error_set(-EPROTO, "the peer hands over buffer %u, which is here already",
				 entry.index);
	}
	struct fbk_frame *frame = frame_at(link, link->next);
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

/* The next frame is there: 0, -EAGAIN as its point is not reached, or why it goes back. */
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
	if (r < 0 && link_refresh(link, producer_lost) == 0 && link->info.phase == FBK_LINK_ENDED) {
		return link_over(link); /* that is why the daemon had nothing to give */
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

int fbk_link_next(struct fbk_link *link, uint64_t deadline_ns, struct fbk_frame **ret_frame)
{
	size_t index;
	if (link->role != FBK_CONSUMER) {
		return error_set(-EINVAL, "this end of the link is the producer's");
	}
	for (;;) {
		pthread_mutex_lock(link->lock);
		int r = link_refresh(link, producer_lost);
		struct fbk_point points[] = { { link->in.timeline, link->next },
					      link_change(link) };
		bool open = r == 0 && link_open(link);
		if (open && fbk_point_check(points[0]) == 0) {
			struct fbk_frame *frame = NULL;
			r = frame_receive(link, &frame);
			if (r != -EAGAIN) {
				pthread_mutex_unlock(link->lock);
				*ret_frame = r == 0 ? frame : *ret_frame;
				return r;
			}
			points[0] = frame->acquire; /* then it is looked at anew */
			r = 0;
		}
		if (r == 0 && link->info.phase == FBK_LINK_ENDED) {
			r = link_over(link);
		}
		pthread_mutex_unlock(link->lock);
		if (r < 0) {
			return r;
		}
		r = open ? fbk_point_wait_any(points, 2, deadline_ns, &index)
			 : fbk_point_wait(points[1], deadline_ns);
		if (r == -ETIMEDOUT || r == -EBADF || r == -ENOTCONN) {
			return r;
		}
	}
}

static void frame_heard(void *arg, struct fbk_point point, int result);
static void change_heard(void *arg, struct fbk_point point, int result);

/* Is there something for fbk_link_next() to do? If not, watch for it: for a frame, and for a change, which may be
 * the end, or that frames can come from now on. */
static int next_watch(struct fbk_link *link)
{
	int r = link_refresh(link, producer_lost);
	struct fbk_point frame = { link->in.timeline, link->next };
	if (r < 0 || link->info.phase == FBK_LINK_ENDED) {
		frames_unwatch(link);
		return watch_soon(link->context, change_heard, link, &link->change_watch);
	}
	if (!link->change_watch) {
		r = fbk_point_watch(link_change(link), FBK_DEADLINE_MAX, change_heard, link,
				    &link->change_watch);
	}
	if (r == 0 && !link->frame_watch && link_open(link)) {
		r = fbk_point_watch(frame, FBK_DEADLINE_MAX, frame_heard, link, &link->frame_watch);
	}
	return r;
}

/* The change is watched for on and on, whether somebody asks for the next frame or not: the daemon is told of
 * that, and of a frame it is not. Lets go of the lock. */
static void next_look(struct fbk_link *link)
{
	fbk_next_fn *fn = link->next_fn;
	void *fn_arg = link->next_arg;
	link_refresh(link, producer_lost);
	struct fbk_point frame = { link->in.timeline, link->next };
	bool due = fn && (link->info.phase == FBK_LINK_ENDED || context_lost(link->context) ||
			  (link_open(link) && fbk_point_check(frame) != -EAGAIN));
	if (due) {
		frame_unwatch(link);
		link->next_fn = NULL;
	} else if (fn) {
		next_watch(link);
	}
	pthread_mutex_unlock(link->lock);
	if (due) {
		fn(fn_arg, link);
	}
}

static void frame_heard(void *arg, struct fbk_point point, int result)
{
	struct fbk_link *link = arg;
	(void)point;
	(void)result;
	pthread_mutex_lock(link->lock);
	link->frame_watch = NULL;
	next_look(link);
}

static void change_heard(void *arg, struct fbk_point point, int result)
{
	struct fbk_link *link = arg;
	(void)point;
	(void)result;
	pthread_mutex_lock(link->lock);
	link->change_watch = NULL;
	next_look(link);
}

int fbk_link_watch(struct fbk_link *link, fbk_next_fn *fn, void *arg)
{
	if (link->role != FBK_CONSUMER) {
		return error_set(-EINVAL, "this end of the link is the producer's");
	}
	pthread_mutex_lock(link->lock);
	frame_unwatch(link);
	link->next_fn = fn;
	link->next_arg = arg;
	int r = next_watch(link);
	pthread_mutex_unlock(link->lock);
	return r;
}

/* --------------------------------------------------------------------------------- one in hand -- */

uint32_t fbk_frame_index(const struct fbk_frame *frame)
{
	return frame->index;
}

const struct fbk_buffer_desc *fbk_frame_buffer(const struct fbk_frame *frame)
{
	static const struct fbk_buffer_desc nothing = { .fd = -1 };
	/* once: another thread may find out that the producer is gone */
	const struct fbk_link *link = *(struct fbk_link *const volatile *)&frame->link;
	return link ? &link->buffers[frame->index].desc : &nothing;
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
	if (frame->sequence != link->oldest) {
		return error_set(
			-EINVAL, "frame %llu is out of turn: frame %llu is given back first",
			(unsigned long long)frame->sequence, (unsigned long long)link->oldest);
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

static int frame_follow(struct fbk_frame *frame, int fence_fd)
{
	struct fbk_link *link = frame->link;
	int r = frame_check(frame);
	if (r == 0 && link->fences &&
	    timeline_check(link->fences, FBK_POINT_MAX) != -EAGAIN) { /* a fence failed it */
		fbk_timeline_close(link->fences);
		link->fences = NULL;
	}
	if (r == 0 && !link->fences) {
		r = fbk_timeline_create(link->device, NULL, "released", FBK_TIMELINE_BROKERED,
					&link->fences);
	}
	if (r < 0) {
		close(fence_fd);
		return r;
	}
	struct fbk_point point = { link->fences, frame->sequence };
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
