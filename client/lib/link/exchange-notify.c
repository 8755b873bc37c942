// SPDX-License-Identifier: MIT
#include "exchange-notify.h"

#include "client/lib/watch-arm.h"
#include "exchange.h"

/* Of those that were back by then, the one that came back first. */
static struct exchange_buffer *exchange_first_back(struct fbk_exchange *exchange, uint64_t freed)
{
	struct exchange_buffer *first = NULL;
	for (uint32_t i = 0; i < FBK_BUFFERS_MAX; i++) {
		struct exchange_buffer *buffer = &exchange->buffers[i];
		if (buffer->state == BUFFER_BACK && buffer->freed <= freed &&
		    (!first || buffer->freed < first->freed)) {
			first = buffer;
		}
	}
	return first;
}

/* Those that are back, in that order, one after the other: a callback may destroy the exchange, or hand over
 * what comes back at once. */
static void exchange_notify(struct fbk_exchange *exchange, uint64_t freed)
{
	bool destroyed = false;
	for (;;) {
		pthread_mutex_lock(&exchange->lock);
		struct exchange_buffer *buffer = exchange_first_back(exchange, freed);
		exchange->destroyed = buffer ? &destroyed : NULL;
		if (!buffer) {
			pthread_mutex_unlock(&exchange->lock);
			return;
		}
		fbk_released_fn *fn = buffer->fn;
		void *arg = buffer->arg;
		int result = buffer->result;
		buffer->state = BUFFER_TAKEN;
		buffer->fn = NULL;
		pthread_mutex_unlock(&exchange->lock);
		fn(arg, result);
		if (destroyed) {
			return;
		}
	}
}

static void exchange_notified(void *arg, struct fbk_point point, int result)
{
	struct fbk_exchange *exchange = arg;
	(void)point;
	(void)result;
	pthread_mutex_lock(&exchange->lock);
	exchange->notifier = NULL;
	uint64_t freed = exchange->freed;
	pthread_mutex_unlock(&exchange->lock);
	exchange_notify(exchange, freed);
}

void exchange_notify_soon(struct fbk_exchange *exchange)
{
	if (!exchange->notifier) {
		/* no memory: with the next one that comes back */
		watch_soon(exchange->context, exchange_notified, exchange, &exchange->notifier);
	}
}
