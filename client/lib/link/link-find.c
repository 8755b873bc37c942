// SPDX-License-Identifier: MIT
#include "link-find.h"

#include <errno.h>

#include "client/lib/context.h"
#include "client/lib/error.h"
#include "client/lib/point.h"
#include "link-consumer.h"
#include "link-point.h"

static bool found_offered(const struct fbk_link *link, const struct lane_frame *frame)
{
	return claim_of(peer_claims(&link->peer), frame->index, frame->sequence) ==
	       FBK_CLAIM_OFFERED;
}

static int frame_check(const struct fbk_link *link, const struct lane_frame *frame)
{
	struct link_consumer *half = link->consumer;
	if (frame->timeline > FBK_LANE_ACQUIRES ||
	    (frame->timeline > 0 && (frame->value == 0 || frame->value > FBK_POINT_MAX))) {
		return error_set(-EPROTO, "the acquire point of its frame %llu is invalid",
				 (unsigned long long)frame->sequence);
	}
	/* In other memory it may: what is here was abandoned. */
	if ((half->frames[frame->index] || release_is_queued(&half->queue, frame->index)) &&
	    half->generations[frame->index] == frame->generation) {
		return error_set(-EPROTO, "it hands over buffer %u, which is here already",
				 frame->index);
	}
	return 0;
}

/* What the daemon says of a timeline that was closed. */
static bool point_gone(int error)
{
	return error == -ENOENT || error == -EBADF || error == -ESTALE || error == -EPIPE;
}

/* The frame is there before the daemon knows the timeline of its acquire point. The link changes when it does. */
#define NOT_SHOWN (-EINPROGRESS)

/* Its acquire point. -ENOENT: it was retracted meanwhile, and the number may be another timeline's. Or NOT_SHOWN. */
static int found_open(struct fbk_link *link, struct found *found)
{
	const struct lane_frame *frame = &found->frame;
	found->point = NULL;
	found->value = frame->timeline ? frame->value : frame->sequence;
	int r = link_point_of(link, frame->timeline, frame->incarnation, &found->point);
	if (r < 0 && context_lost(link->context)) {
		return error_lost();
	}
	if (r < 0 && !found_offered(link, frame)) {
		return -ENOENT;
	}
	if (r == -EAGAIN) {
		return NOT_SHOWN;
	}
	found->gone = point_gone(r);
	found->error = found->gone ? -EPIPE : 0;
	if (found->gone) {
		found->point = lane_point_ref(link->peer.self);
		found->value = FBK_POINT_MAX;
		r = 0;
	}
	return r;
}

/* Frame `sequence`, if it is offered still. -ENOENT: it was retracted, or taken, and its place may have another. */
static int found_read(struct fbk_link *link, uint32_t index, uint64_t sequence, struct found *found)
{
	if (index >= FBK_BUFFERS_MAX ||
	    !lane_frame_read(&link->peer.page, index, sequence, &found->frame) ||
	    !found_offered(link, &found->frame)) {
		return -ENOENT;
	}
	int r = frame_check(link, &found->frame);
	if (r < 0) {
		return r;
	}
	return found_open(link, found);
}

static struct fbk_point found_acquire(const struct found *found)
{
	return (struct fbk_point){ found->point->timeline, found->value };
}

/* 0: it can be taken, maybe with an error. -EAGAIN: its acquire point has to be reached first. */
static int found_reached(const struct fbk_link *link, struct found *found)
{
	int r = found->error ? found->error : point_look(found_acquire(found));
	if (r == -EAGAIN && link->consumer->wishes.delivery == FBK_DELIVERY_FIFO &&
	    link->info.acquire != FBK_ROUTE_CPU_WAIT) {
		return 0; /* the consumer's device waits by itself */
	}
	if (r == -EAGAIN || r == -ENOTCONN) {
		return r;
	}
	found->error = r;
	return 0;
}

static void found_await(const struct fbk_link *link, struct found *found, struct awaited *awaited)
{
	awaited_add_lane(awaited, link, found->point, found_acquire(found).value);
	lane_point_unref(link->context, found->point);
}

/* Further behind than the order ring goes: the first one that is offered. -ENOENT: there is none. */
static int scan_first(const struct fbk_link *link, uint64_t *ret_sequence, uint32_t *ret_index)
{
	int r = -ENOENT;
	for (uint32_t i = 0; i < FBK_BUFFERS_MAX; i++) {
		uint64_t sequence = lane_frame_sequence(&link->peer.page, i);
		if (sequence >= link->next && (r < 0 || sequence < *ret_sequence) &&
		    claim_of(peer_claims(&link->peer), i, sequence) == FBK_CLAIM_OFFERED) {
			*ret_sequence = sequence;
			*ret_index = i;
			r = 0;
		}
	}
	return r;
}

/* Frame link->next. Far behind, link->next moves on to the first that is offered, or behind `last`. */
static int found_next(struct fbk_link *link, uint64_t last, struct found *found)
{
	uint32_t index = 0;
	int r;
	if (last - link->next < link->peer.page.geometry.order_length) {
		r = lane_order_read(&link->peer.page, link->next, &index);
	} else {
		uint64_t first = last;
		r = scan_first(link, &first, &index);
		link->next = first < last ? first : last;
	}
	return r < 0 ? r : found_read(link, index, link->next, found);
}

/* The oldest. Numbers whose frame is gone are passed over for good. */
static int find_first(struct fbk_link *link, uint64_t last, struct found *found,
		      struct awaited *awaited)
{
	int r = -ENOENT;
	while (r == -ENOENT && link->next <= last) {
		r = found_next(link, last, found);
		if (r == -ENOENT) {
			link->next++;
		}
	}
	if (r == 0) {
		r = found_reached(link, found);
		if (r == -EAGAIN) {
			found_await(link, found, awaited);
		}
	}
	return r == -ENOENT ? -EAGAIN : r;
}

/* One index after the other, newest first: which have a frame of this link that was not looked at. */
struct newest {
	uint64_t sequences[FBK_BUFFERS_MAX];
	uint32_t indices[FBK_BUFFERS_MAX];
	uint32_t count;
};

static void newest_list(const struct fbk_link *link, uint64_t last, struct newest *newest)
{
	newest->count = 0;
	for (uint32_t i = 0; i < FBK_BUFFERS_MAX; i++) {
		uint64_t sequence = lane_frame_sequence(&link->peer.page, i);
		if (sequence < link->next || sequence > last ||
		    claim_of(peer_claims(&link->peer), i, sequence) != FBK_CLAIM_OFFERED) {
			continue;
		}
		uint32_t at = newest->count++;
		while (at > 0 && newest->sequences[at - 1] < sequence) {
			newest->sequences[at] = newest->sequences[at - 1];
			newest->indices[at] = newest->indices[at - 1];
			at--;
		}
		newest->sequences[at] = sequence;
		newest->indices[at] = i;
	}
}

/* The newest one that failed, of those looked at; another one takes its place, or NULL. */
static void failed_replace(const struct fbk_link *link, struct found *failed,
			   const struct found *found)
{
	lane_point_unref(link->context, failed->point);
	*failed = found ? *found : (struct found){ 0 };
}

/* The newest that is reached. One that failed displaces none: it goes back once none before it is offered. */
static int find_newest(struct fbk_link *link, uint64_t last, struct found *found,
		       struct awaited *awaited)
{
	struct newest newest;
	struct found failed = { 0 };
	bool hidden = false;
	newest_list(link, last, &newest);
	for (uint32_t i = 0; i < newest.count; i++) {
		int r = found_read(link, newest.indices[i], newest.sequences[i], found);
		if (r == -ENOENT) {
			continue;
		}
		if (r == NOT_SHOWN) {
			failed_replace(link, &failed, NULL);
			hidden = true;
			continue;
		}
		if (r == 0) {
			r = found_reached(link, found);
		}
		if (r == 0 && found->error) {
			failed_replace(link, &failed, found);
			continue;
		}
		failed_replace(link, &failed, NULL);
		if (r == -EAGAIN) {
			found_await(link, found, awaited);
			continue;
		}
		found->older = i + 1 < newest.count;
		return r;
	}
	*found = failed;
	return failed.point ? 0 : hidden ? NOT_SHOWN : -EAGAIN;
}

/* That something can come after `last`. */
static int lane_check(const struct fbk_link *link, uint64_t last)
{
	if (last > link->consumer->last) {
		return error_set(-EPROTO,
				 "its count of frames is %llu, further than a producer comes",
				 (unsigned long long)last);
	}
	int r = point_look((struct fbk_point){ peer_lane(&link->peer), last + 1 });
	return r == 0 || r == -EAGAIN || r == -ENOTCONN
		       ? 0
		       : error_set(-EPROTO, "its count of frames failed");
}

int link_find(struct fbk_link *link, struct found *ret_found, struct awaited *awaited)
{
	/* acquire, in it: the tables as they were when the last frame was said */
	uint64_t last = fbk_timeline_value(peer_lane(&link->peer));
	bool mailbox = link->consumer->wishes.delivery == FBK_DELIVERY_MAILBOX;
	size_t before = awaited->count;
	ret_found->older = false;
	int r = last > link->consumer->last ? lane_check(link, last) : -EAGAIN;
	if (r == -EAGAIN && link->next <= last && !(link->consumer->wishes.pauses & 1)) {
		r = mailbox ? find_newest(link, last, ret_found, awaited)
			    : find_first(link, last, ret_found, awaited);
	}
	bool hidden = r == NOT_SHOWN;
	r = hidden ? -EAGAIN : r;
	if (r == -EAGAIN && !hidden && awaited->count == before && lane_stopped(&link->peer.page)) {
		return error_set(-EPIPE, "the producer stopped the link");
	}
	if (r == -EAGAIN && lane_check(link, last) < 0) {
		return -EPROTO;
	}
	if (r == -EAGAIN) {
		uint64_t further = last >= link->next ? last + 1 : link->next;
		awaited_add_lane(awaited, link, link->peer.self, further);
	}
	return r;
}
