// SPDX-License-Identifier: MIT
/* Callbacks of an exchange: what is watched for them, and running them in order. */
#include "clock.h"
#include "exchange.h"
#include "watch-arm.h"

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
static void exchange_tell(struct fbk_exchange *exchange, uint64_t freed)
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

static void exchange_told(void *arg, struct fbk_point point, int result)
{
	struct fbk_exchange *exchange = arg;
	(void)point;
	(void)result;
	pthread_mutex_lock(&exchange->lock);
	exchange->teller = NULL;
	uint64_t freed = exchange->freed;
	pthread_mutex_unlock(&exchange->lock);
	exchange_tell(exchange, freed);
}

void exchange_tell_soon(struct fbk_exchange *exchange)
{
	if (!exchange->teller) {
		/* without memory: with the next one that comes back */
		watch_soon(exchange->context, exchange_told, exchange, &exchange->teller);
	}
}

static void exchange_heard(void *arg, struct fbk_point point, int result)
{
	struct fbk_link *link = arg;
	struct fbk_exchange *exchange = link->exchange;
	(void)point;
	(void)result; /* looked at anew */
	pthread_mutex_lock(&exchange->lock);
	link->watch = NULL;
	exchange_refresh(exchange, now_ns());
	exchange_watch(exchange);
	pthread_mutex_unlock(&exchange->lock);
}

static bool exchange_has_callbacks(const struct fbk_exchange *exchange)
{
	for (uint32_t i = 0; i < FBK_BUFFERS_MAX; i++) {
		if (exchange->buffers[i].state == BUFFER_HANDED && exchange->buffers[i].fn) {
			return true;
		}
	}
	return false;
}

void exchange_watch(struct fbk_exchange *exchange)
{
	struct fbk_link *link;
	if (!exchange_has_callbacks(exchange)) {
		return;
	}
	LIST_FOREACH(link, &exchange->consumers, exchange_links) {
		if (!link->watch && link->in.timeline && link->returned < link->next) {
			fbk_point_watch(consumer_awaited(link),
					link_sent_at(link, link->returned)->deadline_ns,
					exchange_heard, link, &link->watch);
		}
	}
}
