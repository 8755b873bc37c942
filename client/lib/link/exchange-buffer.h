// SPDX-License-Identifier: MIT
/* Where an exchange's buffers are: what their consumers do to them. Under the exchange's lock. */
#pragma once

#include "exchange.h"

/* One consumer gave it back, or can't any more. */
void buffer_acked(struct fbk_exchange *exchange, uint32_t index);

/* After that: one consumer is done with it; or it never had it. */
void buffer_returned(struct fbk_exchange *exchange, uint32_t index, int result);
void buffer_retracted(struct fbk_exchange *exchange, uint32_t index);

/* Its acquire point: 0 or an error once it is decided, or closed; -EAGAIN before. */
int buffer_drawn(struct fbk_exchange *exchange, uint32_t index);

/* The same point with a reference to its timeline; false: it is decided. */
bool buffer_acquire(struct exchange_buffer *buffer, struct fbk_point *ret_point);

void buffer_unwatch(struct exchange_buffer *buffer);

/* No consumer has it any more, and if it was retracted, its acquire point may be decided by now: then it is free. */
void buffer_settle(struct exchange_buffer *buffer);
static inline bool buffer_is_drawing(const struct exchange_buffer *buffer)
{
	return buffer->state == BUFFER_HANDED && buffer->consumers == 0;
}
