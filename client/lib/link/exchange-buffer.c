// SPDX-License-Identifier: MIT
#include "exchange-buffer.h"

#include <errno.h>

#include "client/lib/point.h"
#include "client/lib/timeline.h"
#include "client/lib/watch-arm.h"
#include "exchange-notify.h"

bool buffer_acquire(struct exchange_buffer *buffer, struct fbk_point *ret_point)
{
	if (buffer->acquire_value == 0) {
		return false;
	}
	struct fbk_timeline *timeline =
		timeline_get(buffer->exchange->context, buffer->acquire_handle, buffer->acquire_id);
	struct fbk_point point = { timeline, buffer->acquire_value };
	int r = timeline ? point_look(point) : 0;
	if (r != -EAGAIN) {
		fbk_timeline_close(timeline);
		buffer->acquire_value = 0; /* not asked again */
		buffer->acquire_error = r;
		return false;
	}
	*ret_point = point;
	return true;
}

int buffer_drawn(struct fbk_exchange *exchange, uint32_t index)
{
	struct fbk_point point;
	if (!buffer_acquire(&exchange->buffers[index], &point)) {
		return exchange->buffers[index].acquire_error;
	}
	fbk_timeline_close(point.timeline);
	return -EAGAIN;
}

void buffer_unwatch(struct exchange_buffer *buffer)
{
	watch_end(buffer->exchange->context, &buffer->watch);
}

void buffer_settle(struct exchange_buffer *buffer)
{
	struct fbk_exchange *exchange = buffer->exchange;
	if (!buffer_is_drawing(buffer) ||
	    (buffer->retracted &&
	     buffer_drawn(exchange, (uint32_t)(buffer - exchange->buffers)) == -EAGAIN)) {
		return;
	}
	buffer_unwatch(buffer);
	buffer->state = buffer->fn ? BUFFER_BACK : BUFFER_FREE;
	buffer->freed = ++exchange->freed;
	if (buffer->fn) {
		exchange_notify_soon(exchange);
	}
}

void buffer_acked(struct fbk_exchange *exchange, uint32_t index)
{
	struct exchange_buffer *buffer = &exchange->buffers[index];
	if (--buffer->pending == 0) {
		buffer->freed = ++exchange->freed;
	}
}

void buffer_returned(struct fbk_exchange *exchange, uint32_t index, int result)
{
	struct exchange_buffer *buffer = &exchange->buffers[index];
	if (buffer->result == 0) {
		buffer->result = result;
	}
	if (--buffer->consumers == 0) {
		buffer_settle(buffer);
	}
}

void buffer_retracted(struct fbk_exchange *exchange, uint32_t index)
{
	exchange->buffers[index].retracted = true;
	buffer_returned(exchange, index, 0);
}
