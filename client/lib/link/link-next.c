// SPDX-License-Identifier: MIT
/* fbk_link_next(): frames as they come, and their buffers. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/lib/error.h"
#include "client/lib/flush.h"
#include "client/lib/timeline.h"
#include "damage.h"
#include "frame.h"
#include "link-buffer.h"
#include "link-find.h"
#include "link-import.h"
#include "link.h"
#include "release-line.h"

/* A memfd is flushed where it is mapped, which the library does not know. */
static int flush_buffer(const struct fbk_buffer_desc *desc)
{
	int r = 0;
	for (uint32_t i = 0; r == 0 && desc->memory == FBK_MEMORY_DMABUF && i < FBK_PLANES_MAX;
	     i++) {
		r = desc->fd[i] >= 0 ? flush_dmabuf(desc->fd[i]) : 0;
	}
	return r;
}

static bool flush_wanted(const struct fbk_frame *frame)
{
	return frame->buffer->desc.visibility == FBK_VISIBILITY_FLUSH ||
	       frame->acquire.timeline->visibility == FBK_VISIBILITY_FLUSH;
}

/* What the route asks of the library before the program sees the frame: its point is reached, or has not failed. */
static int frame_prepare(struct fbk_frame *frame)
{
	struct fbk_link *link = frame->link;
	switch (link->info.acquire) {
	case FBK_ROUTE_CPU_WAIT:
		return flush_wanted(frame) ? flush_buffer(&frame->buffer->desc) : 0;
	case FBK_ROUTE_DMA_BUF_IMPLICIT:
		return fbk_point_attach_dmabuf(frame->acquire, frame->buffer->desc.fd[0], true);
	default:
		return 0;
	}
}

/* It is ours: the table says so, and where the producer waits for that, a signal. */
static void frame_taken(struct fbk_link *link, const struct found *found)
{
	link->next = found->frame.sequence + 1;
	lane_taken_write(&link->out.page, found->frame.index, found->frame.sequence);
	if (found->older || found->frame.parts & FBK_PART_NOTIFY) {
		lane_raise(&link->out);
	}
}

/* Its producer lies, or has just left, which its lane says as well. It is over, or -EAGAIN: another one may come. */
static int link_accuse(struct fbk_link *link)
{
	char reason[FBK_REASON_SIZE];
	uint64_t epoch = link->epoch;
	snprintf(reason, sizeof(reason), "%s", fbk_error_detail());
	link_refresh(link);
	if (link->peer.self && link->epoch == epoch) {
		link_break(link, -EPROTO, reason);
	}
	return link->info.phase == FBK_PHASE_ENDED ? link_over(link) : -EAGAIN;
}

/* The program does not get it. */
static void frame_refuse(const struct fbk_frame *frame, int result)
{
	const struct lane_return back = {
		.sequence = frame->sequence,
		.index = frame->index,
		.result = result,
	};
	lane_give_back(&frame->link->out, &back);
}

/* It is taken, and can be refused or shown to the program, maybe with an error. -EAGAIN: the next one is looked for. */
static int frame_show(struct fbk_frame *frame, const struct found *found)
{
	struct fbk_link *link = frame->link;
	if (frame_bounds_apply(&frame->buffer->bounds, frame->index, &frame->meta) < 0) {
		return link_accuse(link);
	}
	if (frame->buffer->error < 0) {
		/* it was handed over before its producer knew */
		frame_refuse(frame, frame->buffer->error);
		return -EAGAIN;
	}
	int r = found->error ? found->error : frame_prepare(frame);
	if (r < 0 && frame_abandoned(frame)) {
		return -EAGAIN; /* with the buffer that was there */
	}
	frame->gone = found->gone;
	frame->error = found->error && !found->gone ? 0 : r; /* else its point says so */
	link->consumer->shown = r == 0 ? frame->sequence : 0;
	release_lines_prepare(link, frame->index);
	frame_hold(frame);
	return 0;
}

static bool buffer_gone(int error)
{
	return error == -ENOENT || error == -ESTALE;
}

/* Takes what was found. -EAGAIN: its producer was faster, or the program does not get it. Any other error leaves it where it
 * is. */
static int frame_take(struct fbk_link *link, struct found *found, struct fbk_frame **ret_frame)
{
	damage_gather(&link->peer.page, link->consumer->shown, &found->frame);
	struct fbk_frame *frame = frame_create(link, &found->frame, found->point, found->value);
	if (!frame) {
		return error_plain(-ENOMEM);
	}
	*ret_frame = frame;
	int r = link_buffer_get(link, frame->index, frame->generation, &frame->buffer);
	if (r < 0 && !buffer_gone(r)) {
		return r;
	}
	if (!claim_take(peer_claims(&link->peer), frame->index, frame->sequence)) {
		return -EAGAIN;
	}
	frame_taken(link, found);
	link->consumer->shown = 0;
	if (r < 0) {
		return frame_abandoned(frame) ? -EAGAIN : link_accuse(link);
	}
	return frame_show(frame, found);
}

/* One look at an open link. A frame that is not held is in `ret_frame` too: it is freed without the lock. */
static int link_look_next(struct fbk_link *link, struct fbk_frame **ret_frame,
			  struct awaited *awaited)
{
	struct found found;
	if (link->consumer->held >= link->consumer->wishes.hold) {
		frames_forget_abandoned(link);
	}
	if (link->consumer->held >= link->consumer->wishes.hold) {
		return error_set(-ENOBUFS, "%u frames are held, as many as were asked for",
				 link->consumer->held);
	}
	int r = link_find(link, &found, awaited);
	if (r == -EPROTO) {
		return link_accuse(link);
	}
	if (r < 0) {
		return r;
	}
	if (link->consumer->import_fn && fbk_timeline_value(link->state) != link->seen) {
		/* its buffer may be one that the program was not asked about */
		lane_point_unref(link->context, found.point);
		awaited_add(awaited, FBK_POINT_SIGNALLED);
		return -EAGAIN;
	}
	r = frame_take(link, &found, ret_frame);
	if (r == -EAGAIN) { /* look again at once */
		awaited_add(awaited, FBK_POINT_SIGNALLED);
	}
	return r;
}

/* The reason why the daemon had nothing to give may be that the producer left: then another one may come, or it is over. */
static int link_next_failed(struct fbk_link *link, int error)
{
	if (error != -EAGAIN && link_refresh(link) == 0 && !link_open(link)) {
		return link->info.phase == FBK_PHASE_ENDED ? link_over(link) : -EAGAIN;
	}
	return error;
}

#define IMPORT_DUE 1

/* 0, -EAGAIN with what to wait for next, IMPORT_DUE, or an error. */
static int link_try_next(struct fbk_link *link, struct fbk_frame **ret_frame,
			 struct awaited *awaited)
{
	int r = link_refresh(link);
	if (r < 0) {
		return r;
	}
	if (link->stopped) {
		return error_set(-EPIPE, "the link was stopped");
	}
	if (link_import_due(link)) {
		return IMPORT_DUE;
	}
	awaited_add(awaited, link_change(link));
	if (link_open(link)) {
		r = link_look_next(link, ret_frame, awaited);
		return r < 0 ? link_next_failed(link, r) : r;
	}
	return link->info.phase == FBK_PHASE_ENDED ? link_over(link) : -EAGAIN;
}

static int link_next(struct fbk_link *link, uint64_t deadline_ns, struct fbk_frame **ret_frame)
{
	struct awaited awaited;
	awaited_init(&awaited);
	for (;;) {
		struct fbk_frame *frame = NULL;
		link_lock(link);
		int r = link_try_next(link, &frame, &awaited);
		link_unlock(link);
		if (r == 0) {
			*ret_frame = frame;
		} else if (frame) {
			frame_free(frame);
		}
		if (r == IMPORT_DUE && (r = link_import(link)) == 0) {
			continue;
		}
		if (r != -EAGAIN) {
			awaited_drop(&awaited);
			return r;
		}
		r = awaited_wait(&awaited, link->context, deadline_ns);
		if (r < 0) {
			return r == -ETIMEDOUT ? error_fixed(r, "no frame came before the deadline")
					       : r;
		}
	}
}

int fbk_link_next(struct fbk_link *link, uint64_t deadline_ns, struct fbk_frame **ret_frame)
{
	int mine = link_check(link);
	if (mine < 0) {
		return mine;
	}
	if (link->role != FBK_ROLE_CONSUMER) {
		return error_set(-EPERM, "this end of the link is the producer's");
	}
	const struct flushing *outer = scope_enter(&link->flushing);
	int r = link_next(link, deadline_ns, ret_frame);
	scope_enter(outer);
	return r;
}
