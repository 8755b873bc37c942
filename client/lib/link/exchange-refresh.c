// SPDX-License-Identifier: MIT
#include "exchange-refresh.h"

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
		consumer_collect(half->link);
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

/* All are looked at anew, whatever fired. Unlocks. */
static void exchange_fired(struct fbk_exchange *exchange)
{
	exchange_refresh(exchange);
	exchange_watch(exchange);
	pthread_mutex_unlock(&exchange->lock);
}

static void lane_fired(void *arg, struct fbk_point point, int result)
{
	struct link_producer *half = arg;
	struct fbk_exchange *exchange = half->exchange;
	(void)point;
	(void)result;
	pthread_mutex_lock(&exchange->lock);
	exchange_fired(exchange);
}

static void release_fired(void *arg, struct fbk_point point, int result)
{
	struct link_sent *sent = arg;
	struct fbk_exchange *exchange = sent->half->exchange;
	(void)point;
	(void)result;
	pthread_mutex_lock(&exchange->lock);
	exchange_fired(exchange);
}

static void acquire_fired(void *arg, struct fbk_point point, int result)
{
	struct exchange_buffer *buffer = arg;
	(void)point;
	(void)result;
	pthread_mutex_lock(&buffer->exchange->lock);
	exchange_fired(buffer->exchange);
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
	if (link->peer.self && half->out && (callbacks || link->stopped) &&
	    !watch_pending(link->context, half->watch)) {
		struct fbk_point change = { peer_lane(&link->peer), half->seen + 1 };
		watch_point(change, lane_fired, half, &half->watch);
	}
	if (half->held && (half->held & callbacks || link->stopped) &&
	    !watch_pending(link->context, half->held_watch)) {
		watch_point(link_change(link), lane_fired, half, &half->held_watch);
	}
	FOREACH_INDEX(index, half->acked & callbacks) {
		struct link_sent *sent = &half->sent[index];
		if (!watch_pending(link->context, sent->watch)) {
			struct fbk_point release = { sent->release->timeline, sent->release_value };
			watch_point(release, release_fired, sent, &sent->watch);
		}
	}
}

/* Of a buffer that is back but for its own acquire point. */
static void buffer_watch(struct exchange_buffer *buffer)
{
	struct fbk_point point;
	if (!watch_pending(buffer->exchange->context, buffer->watch) &&
	    buffer_acquire(buffer, &point)) {
		watch_point(point, acquire_fired, buffer, &buffer->watch);
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
