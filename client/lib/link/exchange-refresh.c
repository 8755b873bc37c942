// SPDX-License-Identifier: MIT
#include "exchange-refresh.h"

#include "client/lib/context.h"
#include "client/lib/watch-arm.h"
#include "consumer.h"
#include "exchange-buffer.h"
#include "exchange.h"

int exchange_refresh(struct fbk_exchange *exchange)
{
	struct link_producer *half;
	uint32_t index;
	bool watch = false;
	int r = 0;
	LIST_FOREACH(half, &exchange->consumers, links) {
		int one = link_refresh(half->link);
		r = one < 0 ? one : r;
		one = consumer_collect(half->link);
		r = one < 0 ? one : r;
		consumer_retract(half->link);
		link_wind_down(half->link);
		watch |= half->held != 0;
	}
	FOREACH_INDEX(index, exchange->there) {
		buffer_settle(&exchange->buffers[index]);
		watch |= buffer_is_drawing(&exchange->buffers[index]);
	}
	if (watch) {
		exchange_watch(exchange); /* the watch of its consumer's lane has ended */
	}
	return r;
}

/* ------------------------------------------------------------------------------------ watching -- */

/* All are looked at anew, whatever fired. */
static void exchange_fired(void *arg, struct fbk_point point, int result)
{
	struct fbk_exchange *exchange = arg;
	(void)point;
	(void)result;
	exchange_lock(exchange);
	int r = exchange->closing ? 0 : exchange_refresh(exchange);
	if (r < 0 &&
	    context_flushing(exchange->context)) { /* not asked: the change is still to be seen */
		watch_end(exchange->context, &exchange->flushed);
		watch_flushed(exchange->context,
			      &(struct callback){ exchange, exchange_fired, exchange },
			      &exchange->flushed);
	} else if (!exchange->closing) {
		exchange_watch(exchange);
	}
	exchange_unlock(exchange);
}

static void exchange_watch_point(struct fbk_exchange *exchange, struct fbk_point point,
				 uint64_t *number)
{
	if (!watch_pending(exchange->context, *number)) {
		watch_point(exchange, point, exchange_fired, exchange, number);
	}
}

/* Buffers that are out and have a callback. */
static uint64_t exchange_callbacks(const struct fbk_exchange *exchange)
{
	uint64_t mask = 0;
	uint32_t i;
	FOREACH_INDEX(i, exchange->there) {
		if (exchange->buffers[i].state == BUFFER_HANDED && exchange->buffers[i].fn) {
			mask |= index_bit(i);
		}
	}
	return mask;
}

static void consumer_watch(struct link_producer *half, uint64_t callbacks)
{
	struct fbk_link *link = half->link;
	uint32_t index;
	if (link->peer.self && half->out && (callbacks || link->stopped)) {
		struct fbk_point change = { peer_lane(&link->peer), half->seen + 1 };
		exchange_watch_point(half->exchange, change, &half->watch);
	}
	if (half->held && (half->held & callbacks || link->stopped)) {
		exchange_watch_point(half->exchange, link_change(link), &half->held_watch);
	}
	FOREACH_INDEX(index, half->acked & callbacks) {
		struct link_sent *sent = &half->sent[index];
		struct fbk_point release = { sent->release->timeline, sent->release_value };
		exchange_watch_point(half->exchange, release, &sent->watch);
	}
}

/* Of a buffer that is back but for its own acquire point. */
static void buffer_watch(struct exchange_buffer *buffer)
{
	struct fbk_point point;
	if (!watch_pending(buffer->exchange->context, buffer->watch) &&
	    buffer_acquire(buffer, &point)) {
		exchange_watch_point(buffer->exchange, point, &buffer->watch);
		fbk_timeline_close(point.timeline);
	}
}

void exchange_watch(struct fbk_exchange *exchange)
{
	struct link_producer *half;
	uint64_t callbacks = exchange_callbacks(exchange);
	uint32_t index;
	LIST_FOREACH(half, &exchange->consumers, links) {
		consumer_watch(half, callbacks);
	}
	FOREACH_INDEX(index, callbacks) {
		if (buffer_is_drawing(&exchange->buffers[index])) {
			buffer_watch(&exchange->buffers[index]);
		}
	}
}
