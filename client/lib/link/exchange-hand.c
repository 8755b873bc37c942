// SPDX-License-Identifier: MIT
/* Handing buffers over to the consumers of an exchange. */
#include <errno.h>

#include "client/lib/clock.h"
#include "client/lib/context.h"
#include "client/lib/error.h"
#include "consumer.h"
#include "exchange-refresh.h"
#include "exchange.h"
#include "frame-bounds.h"
#include "frame-meta.h"
#include "client/lib/struct-size.h"

static bool exchange_reaches(const struct link_producer *half)
{
	return link_open(half->link) && !half->link->stopped;
}

static bool exchange_reaches_any(const struct fbk_exchange *exchange)
{
	const struct link_producer *half;
	LIST_FOREACH(half, &exchange->consumers, links) {
		if (exchange_reaches(half)) {
			return true;
		}
	}
	return false;
}

/* To all consumers, or to none: what could go wrong does before anything is sent. */
static int exchange_may_hand(struct fbk_exchange *exchange, struct fbk_point acquire)
{
	struct link_producer *half;
	int r = 0;
	LIST_FOREACH(half, &exchange->consumers, links) {
		if (r == 0 && exchange_reaches(half)) {
			r = consumer_may_hand(half->link, acquire);
		}
	}
	return r;
}

static int exchange_nobody(const struct fbk_exchange *exchange)
{
	const struct link_producer *half = LIST_FIRST(&exchange->consumers);
	bool ended = half && half->link->info.phase == FBK_PHASE_ENDED && !half->link->lost;
	if (context_lost(exchange->context) && !ended) {
		return error_lost();
	}
	return error_set(-EPIPE, "no consumer is there: %s",
			 !half                       ? "the exchange has no links"
			 : half->link->info.unfit[0] ? half->link->info.unfit
			 : half->link->info.cause[0] ? half->link->info.cause
						     : "no peer has accepted the link yet");
}

/* Can it be handed over, with that point, and `meta` if it is not NULL? */
static int exchange_check_hand(struct fbk_exchange *exchange, uint32_t index,
			       struct fbk_point acquire, const struct fbk_frame_meta *meta,
			       struct exchange_buffer **ret_buffer)
{
	int r = exchange_find(exchange, index, true, ret_buffer);
	if (r < 0) {
		return r;
	}
	if ((*ret_buffer)->state == BUFFER_HANDED || (*ret_buffer)->state == BUFFER_BACK) {
		return error_set(-EBUSY, "buffer %u is handed over already", index);
	}
	if (acquire.timeline && (acquire.value == 0 || acquire.value > FBK_POINT_MAX)) {
		return error_set(-ERANGE, "%llu is not a point", (unsigned long long)acquire.value);
	}
	r = meta ? frame_bounds_check(&(*ret_buffer)->bounds, index, meta) : 0;
	return r < 0 ? r : exchange_may_hand(exchange, acquire);
}

static bool exchange_refused(const struct link_producer *half, uint32_t index)
{
	return half->link->info.refused & index_bit(index);
}

/* Has each consumer that is there refused the buffer? Then it never goes. */
static int exchange_check_refused(const struct fbk_exchange *exchange, uint32_t index)
{
	const struct link_producer *half, *last = NULL;
	LIST_FOREACH(half, &exchange->consumers, links) {
		if (exchange_reaches(half)) {
			if (!exchange_refused(half, index)) {
				return 0;
			}
			last = half;
		}
	}
	return last ? error_set(-ENOTSUP, "%s has refused buffer %u: add another in its place",
				last->link->info.peer, index)
		    : 0;
}

/* How many consumers it was sent to. */
static uint32_t exchange_send(struct fbk_exchange *exchange, struct lane_frame *frame,
			      struct fbk_point acquire)
{
	struct link_producer *half;
	uint32_t consumers = 0;
	LIST_FOREACH(half, &exchange->consumers, links) {
		if (!exchange_reaches(half)) {
			continue;
		}
		if (!exchange_refused(half, frame->index) && consumer_wants(half->link)) {
			consumers += consumer_hand(half->link, frame, acquire) == 0;
		} else {
			consumer_skip(half->link, frame);
		}
	}
	return consumers;
}

static void buffer_hand(struct exchange_buffer *buffer, struct fbk_point acquire,
			uint32_t consumers)
{
	buffer_let_go(buffer);
	buffer->state = BUFFER_HANDED;
	buffer->consumers = consumers;
	buffer->pending = consumers;
	buffer->result = 0;
	buffer->frame = ++buffer->exchange->frames;
	buffer->retracted = false;
	buffer->acquire_value = acquire.timeline ? acquire.value : 0;
	buffer->acquire_error = 0;
	buffer->acquire_handle = acquire.timeline ? acquire.timeline->handle : 0;
	buffer->acquire_id = acquire.timeline ? acquire.timeline->id : 0;
}

/* The number of consumers, or an error. */
static int exchange_hand(struct fbk_exchange *exchange, struct lane_frame *frame,
			 const struct fbk_frame_meta *meta, struct fbk_point acquire,
			 fbk_released_fn *on_released, void *arg)
{
	struct exchange_buffer *buffer = NULL;
	int r = context_check(exchange->context);
	if (r < 0) {
		return r;
	}
	exchange_refresh(exchange);
	r = exchange_check_hand(exchange, frame->index, acquire, meta, &buffer);
	if (r < 0) {
		return r;
	}
	if (!exchange_reaches_any(exchange)) {
		return exchange_nobody(exchange);
	}
	r = exchange_check_refused(exchange, frame->index);
	if (r < 0) {
		return r;
	}
	frame->generation = buffer->generation;
	frame->handed_ns = now_ns();
	uint32_t consumers = exchange_send(exchange, frame, acquire);
	if (consumers == 0) {
		buffer->state = BUFFER_TAKEN;
		return 0;
	}
	buffer_hand(buffer, acquire, consumers);
	buffer->fn = on_released;
	buffer->arg = arg;
	exchange_watch(exchange);
	return (int)consumers;
}

int fbk_exchange_hand(struct fbk_exchange *exchange, uint32_t index, struct fbk_point acquire,
		      uint64_t deadline_ns, const struct fbk_frame_meta *meta,
		      fbk_released_fn *on_released, void *arg)
{
	int mine = context_check(exchange->context);
	if (mine < 0) {
		return mine;
	}
	struct lane_frame frame = { .index = index, .deadline_ns = deadline_ns };
	struct fbk_frame_meta said;
	if (meta) {
		int r = STRUCT_READ(&said, meta);
		if (r == 0) {
			r = frame_meta_check(&said);
		}
		if (r < 0) {
			return r;
		}
		frame_meta_write(&said, &frame);
	}
	exchange_lock(exchange);
	int r = exchange_hand(exchange, &frame, meta ? &said : NULL, acquire, on_released, arg);
	exchange_unlock(exchange);
	return r;
}
