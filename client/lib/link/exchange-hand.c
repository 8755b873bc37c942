// SPDX-License-Identifier: MIT
/* Handing buffers over to the consumers of an exchange. */
#include <errno.h>

#include "client/lib/error.h"
#include "consumer.h"
#include "exchange-refresh.h"
#include "exchange.h"

/* To all consumers, or to none: what could go wrong does before anything is sent. */
static int exchange_may_hand(struct fbk_exchange *exchange, struct fbk_point acquire)
{
	struct link_producer *half;
	int r = 0;
	LIST_FOREACH(half, &exchange->consumers, links) {
		if (r == 0 && link_open(half->link)) {
			r = consumer_may_hand(half->link, acquire);
		}
	}
	return r;
}

static int exchange_nobody(const struct fbk_exchange *exchange)
{
	const struct link_producer *half = LIST_FIRST(&exchange->consumers);
	return error_set(-ENOTCONN, "no consumer is there: %s",
			 !half                       ? "the exchange has no links"
			 : half->link->info.cause[0] ? half->link->info.cause
						     : "no peer has accepted the link yet");
}

/* Can it be handed over, with that point? */
static int exchange_check_hand(struct fbk_exchange *exchange, uint32_t index,
			       struct fbk_point acquire, struct exchange_buffer **ret_buffer)
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
	return exchange_may_hand(exchange, acquire);
}

/* How many consumers it was sent to. */
static uint32_t exchange_send(struct fbk_exchange *exchange, uint32_t index, uint32_t generation,
			      struct fbk_point acquire, uint64_t deadline_ns)
{
	struct link_producer *half;
	uint32_t consumers = 0;
	LIST_FOREACH(half, &exchange->consumers, links) {
		if (link_open(half->link)) {
			consumers += consumer_hand(half->link, index, generation, acquire,
						   deadline_ns) == 0;
		}
	}
	return consumers;
}

static int exchange_hand(struct fbk_exchange *exchange, uint32_t index, struct fbk_point acquire,
			 uint64_t deadline_ns, fbk_released_fn *on_released, void *arg)
{
	struct exchange_buffer *buffer = NULL;
	exchange_refresh(exchange, 0);
	int r = exchange_check_hand(exchange, index, acquire, &buffer);
	if (r < 0) {
		return r;
	}
	uint32_t consumers =
		exchange_send(exchange, index, buffer->generation, acquire, deadline_ns);
	if (consumers == 0) {
		return exchange_nobody(exchange);
	}
	buffer_let_go(buffer);
	buffer->state = BUFFER_HANDED;
	buffer->consumers = consumers;
	buffer->pending = consumers;
	buffer->result = 0;
	buffer->fn = on_released;
	buffer->arg = arg;
	exchange_watch(exchange);
	return 0;
}

int fbk_exchange_hand(struct fbk_exchange *exchange, uint32_t index, struct fbk_point acquire,
		      uint64_t deadline_ns, fbk_released_fn *on_released, void *arg)
{
	pthread_mutex_lock(&exchange->lock);
	int r = exchange_hand(exchange, index, acquire, deadline_ns, on_released, arg);
	pthread_mutex_unlock(&exchange->lock);
	return r;
}
