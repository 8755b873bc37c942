// SPDX-License-Identifier: MIT
#include "exchange-refresh.h"

#include "client/lib/clock.h"
#include "consumer.h"
#include "exchange.h"

int exchange_refresh(struct fbk_exchange *exchange, uint64_t now)
{
	struct link_producer *half;
	int r = 0;
	LIST_FOREACH(half, &exchange->consumers, links) {
		int one = link_refresh(half->link);
		r = one < 0 ? one : r;
		if (half->returned < half->link->next) {
			consumer_collect(half->link);
			consumer_police(half->link, now);
		}
	}
	return r;
}

/* ------------------------------------------------------------------------------------ watching -- */

static void consumer_fired(void *arg, struct fbk_point point, int result)
{
	struct link_producer *half = arg;
	struct fbk_exchange *exchange = half->exchange;
	(void)point;
	(void)result; /* looked at anew */
	pthread_mutex_lock(&exchange->lock);
	half->watch = NULL;
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
	struct link_producer *half;
	if (!exchange_has_callbacks(exchange)) {
		return;
	}
	LIST_FOREACH(half, &exchange->consumers, links) {
		struct fbk_link *link = half->link;
		if (!half->watch && link->in.timeline && half->returned < link->next) {
			fbk_point_watch(consumer_awaited(link),
					link_sent_at(half, half->returned)->deadline_ns,
					consumer_fired, half, &half->watch);
		}
	}
}
