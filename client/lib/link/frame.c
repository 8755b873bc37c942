// SPDX-License-Identifier: MIT
#include "frame.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/lib/context.h"
#include "client/lib/error.h"
#include "client/lib/point.h"
#include "frame-meta.h"
#include "link-point.h"
#include "link-watch.h"
#include "proto/fd.h"
#include "release-line.h"
#include "release-queue.h"

void link_buffer_unref(struct link_buffer *buffer)
{
	/* acq_rel: the last one frees what the others used */
	if (!buffer || atomic_fetch_sub_explicit(&buffer->refs, 1, memory_order_acq_rel) > 1) {
		return;
	}
	for (uint32_t i = 0; i < FBK_PLANES_MAX; i++) {
		if (buffer->desc.fd[i] >= 0) {
			fd_close(buffer->desc.fd[i]);
		}
	}
	free(buffer);
}

struct fbk_frame *frame_create(struct fbk_link *link, const struct lane_frame *from,
			       struct lane_point *point, uint64_t value)
{
	struct fbk_frame *frame = calloc(1, sizeof(*frame));
	if (!frame) {
		lane_point_unref(link->context, point);
		return NULL;
	}
	link_ref(link);
	atomic_init(&frame->refs, 1);
	frame->link = link;
	frame->sequence = from->sequence;
	frame->index = from->index;
	frame->generation = from->generation;
	frame->point = point;
	frame->acquire = (struct fbk_point){ point->timeline, value };
	frame->acquire_fd = -1;
	frame_meta_read(&frame->meta, from);
	return frame;
}

void frame_free(struct fbk_frame *frame)
{
	if (frame->acquire_fd >= 0) {
		fd_close(frame->acquire_fd);
	}
	link_buffer_unref(frame->buffer);
	lane_point_unref(frame->link->context, frame->point);
	link_unref(frame->link);
	free(frame);
}

static void frame_let_go(struct fbk_frame *frame)
{
	struct link_consumer *half = frame->link->consumer;
	frame->held = false;
	half->frames[frame->index] = NULL;
	half->held--;
}

void frame_hold(struct fbk_frame *frame)
{
	struct link_consumer *half = frame->link->consumer;
	if (half->frames[frame->index]) { /* abandoned: another came in its index */
		frame_let_go(half->frames[frame->index]);
	}
	release_drop(&half->queue, frame->index); /* and so for the one before */
	frame->held = true;
	half->frames[frame->index] = frame;
	half->generations[frame->index] = frame->generation;
	half->held++;
}

bool frame_abandoned(const struct fbk_frame *frame)
{
	const struct link_peer *peer = &frame->link->peer;
	return peer->claims &&
	       claim_of(peer_claims(peer), frame->index, frame->sequence) != FBK_CLAIM_TAKEN;
}

void frames_forget_abandoned(struct fbk_link *link)
{
	for (uint32_t i = 0; i < FBK_BUFFERS_MAX; i++) {
		struct fbk_frame *frame = link->consumer->frames[i];
		if (frame && frame_abandoned(frame)) {
			frame_let_go(frame);
		}
	}
}

void frames_lose(struct fbk_link *link)
{
	for (uint32_t i = 0; i < FBK_BUFFERS_MAX; i++) {
		if (link->consumer->frames[i]) {
			frame_let_go(link->consumer->frames[i]);
		}
	}
	release_drop_all(&link->consumer->queue);
}

/* It is held: why it could not be used, as far as is known; 0: it could. */
static int frame_failure(const struct fbk_frame *frame)
{
	int r = frame->error;
	if (r == 0) {
		r = timeline_check(frame->acquire.timeline, frame->acquire.value);
	}
	return r == -EAGAIN ? 0 : r;
}

/* The result of a release that says none. */
static void frame_return(const struct fbk_frame *frame, struct lane_return *back)
{
	back->sequence = frame->sequence;
	back->index = frame->index;
	if (back->result == 0) {
		back->result = frame_failure(frame);
	}
}

/* It is held, under the lock: its return takes the rest of `back`. */
static int frame_give_back(struct fbk_frame *frame, struct lane_return *back)
{
	struct fbk_link *link = frame->link;
	frame_return(frame, back);
	frame_let_go(frame);
	int r = lane_give_back(&link->out, back);
	link_wind_down(link);
	frame_released(link);
	return r;
}

static int frame_check(struct fbk_frame *frame)
{
	if (frame->held && frame_abandoned(frame)) {
		frame_let_go(frame);
	}
	return frame->held ? context_check(frame->link->context)
			   : error_set(-ESTALE, "that frame was given back, or abandoned by its "
						"producer, or its producer is gone");
}

/* ------------------------------------------------------------------------------- asked by the program -- */

struct fbk_frame *fbk_frame_ref(struct fbk_frame *frame)
{
	/* relaxed: whoever adds one has one */
	atomic_fetch_add_explicit(&frame->refs, 1, memory_order_relaxed);
	return frame;
}

static void frame_give_up(struct fbk_frame *frame)
{
	ERRORS_KEPT();
	if (frame_check(frame) == 0) {
		frame_give_back(frame, &(struct lane_return){ .result = -EREMOTEIO });
	}
}

void fbk_frame_unref(struct fbk_frame *frame)
{
	/* acq_rel: the last one frees what the others used */
	if (!frame || link_check(frame->link) < 0 ||
	    atomic_fetch_sub_explicit(&frame->refs, 1, memory_order_acq_rel) > 1) {
		return;
	}
	link_lock(frame->link);
	if (frame->held) {
		frame_give_up(frame);
	}
	link_unlock(frame->link);
	frame_free(frame);
}

uint64_t fbk_frame_sequence(const struct fbk_frame *frame)
{
	return frame->sequence;
}

uint32_t fbk_frame_index(const struct fbk_frame *frame)
{
	return frame->index;
}

const struct fbk_buffer_desc *fbk_frame_buffer(const struct fbk_frame *frame)
{
	return &frame->buffer->desc;
}

const struct fbk_frame_meta *fbk_frame_meta(const struct fbk_frame *frame)
{
	return &frame->meta;
}

struct fbk_point fbk_frame_acquire(const struct fbk_frame *frame)
{
	return frame->acquire;
}

static int frame_explain(const struct fbk_frame *frame)
{
	if (frame->gone) {
		return error_set(frame->error,
				 "frame %llu: its producer closed the timeline that it waits for",
				 (unsigned long long)frame->sequence);
	}
	return error_set(frame->error, "frame %llu can't be made readable: %s",
			 (unsigned long long)frame->sequence, strerrordesc_np(-frame->error));
}

/* Under the lock. -EAGAIN: its point has to be reached first. */
static int frame_fetch(struct fbk_frame *frame, uint64_t deadline_ns)
{
	const struct fbk_link *link = frame->link;
	if (frame->acquire_fd >= 0) {
		return frame->acquire_fd;
	}
	int r = frame_check(frame);
	if (r == 0 && frame->error) {
		r = frame_explain(frame);
	}
	if (r == 0) {
		r = link_fence(link->info.acquire, frame->point, frame->acquire.value, deadline_ns,
			       &frame->acquire_fd);
	}
	return r < 0 ? r : frame->acquire_fd;
}

int fbk_frame_acquire_fd(struct fbk_frame *frame, uint64_t deadline_ns)
{
	int mine = link_check(frame->link);
	if (mine < 0) {
		return mine;
	}
	struct fbk_link *link = frame->link;
	for (;;) {
		link_lock(link);
		int r = frame_fetch(frame, deadline_ns);
		link_unlock(link);
		if (r != -EAGAIN) {
			return r;
		}
		const struct flushing *outer = scope_enter(&link->flushing);
		r = fbk_point_wait(frame->acquire, deadline_ns);
		scope_enter(outer);
		if (r < 0) {
			return r;
		}
	}
}

int fbk_frame_error(struct fbk_frame *frame)
{
	return frame->error ? frame_explain(frame) : fbk_point_check(frame->acquire);
}

int fbk_frame_release(struct fbk_frame *frame, int result)
{
	int mine = link_check(frame->link);
	if (mine < 0) {
		return mine;
	}
	struct fbk_link *link = frame->link;
	if (result > 0 || result < -4095) {
		return error_set(-EINVAL, "%d is not 0 or a negative errno", result);
	}
	link_lock(link);
	int r = frame_check(frame);
	if (r == 0) {
		struct lane_return back = { .result = result };
		r = frame_give_back(frame, &back);
	}
	link_unlock(link);
	return r;
}

int fbk_frame_release_later(struct fbk_frame *frame, struct fbk_point *ret_point)
{
	int mine = link_check(frame->link);
	if (mine < 0) {
		return mine;
	}
	struct fbk_link *link = frame->link;
	struct release_line *line;
	link_lock(link);
	int r = frame_check(frame);
	if (r == 0) {
		r = release_line_get(link, frame->index, FBK_RELEASE_MEMORY, &line);
	}
	if (r == 0) {
		/* Before its producer sees it: the program signals it from here on. */
		*ret_point = (struct fbk_point){ line->timeline, ++line->uses };
		r = frame_give_back(frame, &(struct lane_return){
						   .kind = FBK_RELEASE_MEMORY,
						   .value = line->uses,
						   .incarnation = line->incarnation,
					   });
	}
	link_unlock(link);
	return r;
}

static int frame_follow(struct fbk_frame *frame, int fence_fd)
{
	struct fbk_link *link = frame->link;
	struct release_line *line;
	int r = frame_check(frame);
	if (r == 0) { /* before the first of a buffer makes its timeline */
		r = fbk_fence_classify(link->context, fence_fd);
	}
	if (r >= 0) {
		r = release_line_get(link, frame->index, FBK_RELEASE_BROKERED, &line);
	}
	if (r < 0) {
		if (fence_fd >= 0) {
			fd_close(fence_fd);
		}
		return r;
	}
	struct lane_return back = {
		.kind = FBK_RELEASE_BROKERED,
		.value = line->uses + 1,
		.incarnation = line->incarnation,
	};
	frame_return(frame, &back);
	r = release_send(&link->consumer->queue, line->timeline, &back, fence_fd);
	if (r < 0) {
		return r;
	}
	line->uses++;
	frame_let_go(frame);
	link_wind_down(link);
	frame_released(link);
	return 0;
}

int fbk_frame_release_on(struct fbk_frame *frame, int fence_fd)
{
	struct fbk_link *link = frame->link;
	int mine = link_check(link);
	if (mine < 0) {
		fd_close(fence_fd);
		return mine;
	}
	link_lock(link);
	int r = frame_follow(frame, fence_fd);
	link_unlock(link);
	return r;
}
