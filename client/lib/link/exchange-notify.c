// SPDX-License-Identifier: MIT
#include "exchange-notify.h"

#include "client/lib/watch-arm.h"
#include "exchange.h"

/* The one that came back first. */
static struct exchange_buffer *exchange_first_back(struct fbk_exchange *exchange)
{
	struct exchange_buffer *first = NULL;
	for (uint32_t i = 0; i < FBK_BUFFERS_MAX; i++) {
		struct exchange_buffer *buffer = &exchange->buffers[i];
		if (buffer->state == BUFFER_BACK && (!first || buffer->freed < first->freed)) {
			first = buffer;
		}
	}
	return first;
}

/* One for each call: a callback may destroy the exchange, or hand over what comes back at once. */
static void exchange_notified(void *arg, struct fbk_point point, int result)
{
	struct fbk_exchange *exchange = arg;
	(void)point;
	(void)result;
	exchange_lock(exchange);
	struct exchange_buffer *buffer = exchange->closing ? NULL : exchange_first_back(exchange);
	if (!buffer) {
		exchange_unlock(exchange);
		return;
	}
	fbk_released_fn *fn = buffer->fn;
	void *fn_arg = buffer->arg;
	int fn_result = buffer->result;
	buffer->state = BUFFER_TAKEN;
	buffer->fn = NULL;
	if (exchange_first_back(exchange)) {
		exchange_notify_soon(exchange);
	}
	exchange_unlock(exchange);
	fn(fn_arg, fn_result);
}

void exchange_notify_soon(struct fbk_exchange *exchange)
{
	struct fbk_context *context = exchange->context;
	const struct callback callback = { exchange, exchange_notified, exchange };
	if (!watch_pending(context, exchange->notifier)) {
		/* no memory: with the next one that comes back */
		watch_soon(context, &callback, &exchange->notifier);
	}
}
