// SPDX-License-Identifier: MIT
#include "exchange-link.h"

#include <errno.h>

#include "client/lib/error.h"
#include "client/lib/request.h"
#include "client/lib/timeline.h"
#include "client/lib/watch-arm.h"
#include "consumer.h"
#include "exchange-add.h"
#include "exchange-buffer.h"
#include "exchange-refresh.h"
#include "exchange.h"

static int exchange_check_link(const struct fbk_link *link)
{
	if (link->role != FBK_ROLE_PRODUCER) {
		return error_set(-EINVAL, "this end of the link is the consumer's");
	}
	if (link->producer->exchange) {
		return error_set(-EBUSY, "the link has an exchange already");
	}
	return 0;
}

static void exchange_take_back(const struct fbk_link *link, uint64_t sent)
{
	const struct exchange_buffer none = { .state = BUFFER_NONE };
	uint32_t index;
	FOREACH_INDEX(index, sent) {
		buffer_send(link, index, &none);
	}
}

/* All buffers, or none. */
static int exchange_send_all(const struct fbk_exchange *exchange, const struct fbk_link *link)
{
	uint32_t index;
	FOREACH_INDEX(index, exchange->there) {
		int r = buffer_send(link, index, &exchange->buffers[index]);
		if (r < 0) {
			exchange_take_back(link, exchange->there & (index_bit(index) - 1));
			return r;
		}
	}
	return 0;
}

int fbk_exchange_attach(struct fbk_exchange *exchange, struct fbk_link *link)
{
	int r = exchange_check_link(link);
	if (r < 0) {
		return r;
	}
	if (link->context != exchange->context) {
		return error_set(-EINVAL, "the link belongs to another context than the exchange");
	}
	pthread_mutex_lock(&exchange->lock);
	if (exchange->consumer_count == FBK_CONSUMERS_MAX) {
		r = error_set(-ENOSPC, "an exchange has at most %d consumers", FBK_CONSUMERS_MAX);
	}
	if (r == 0) {
		r = exchange_send_all(exchange, link);
	}
	if (r == 0) {
		LIST_INSERT_HEAD(&exchange->consumers, link->producer, links);
		exchange->consumer_count++;
		link->producer->exchange = exchange;
		link->lock = &exchange->lock;
		link->seen = 0; /* there may be a consumer to join */
		exchange_refresh(exchange);
	}
	pthread_mutex_unlock(&exchange->lock);
	return r;
}

int fbk_exchange_create(struct fbk_link *link, struct fbk_exchange **ret_exchange)
{
	int r = exchange_check_link(link);
	if (r < 0) {
		return r;
	}
	struct fbk_exchange *exchange = exchange_new(link->context);
	if (!exchange) {
		return error_plain(-ENOMEM);
	}
	r = fbk_exchange_attach(exchange, link);
	if (r < 0) {
		exchange_free(exchange);
		return r;
	}
	exchange_enlist(exchange);
	*ret_exchange = exchange;
	return 0;
}

/* The program waits for no point of it any more. */
static void exchange_forget(struct exchange_buffer *buffer, const struct fbk_link *link)
{
	size_t left = 0;
	for (size_t i = 0; i < buffer->kept_count; i++) {
		if (buffer->kept[i].link == link) {
			lane_point_unref(link->context, buffer->kept[i].point);
		} else {
			buffer->kept[left++] = buffer->kept[i];
		}
	}
	buffer->kept_count = left;
}

void exchange_remove_link(struct fbk_link *link)
{
	struct link_producer *half = link->producer;
	struct fbk_exchange *exchange = half->exchange;
	if (!exchange) {
		return;
	}
	pthread_mutex_lock(&exchange->lock);
	link->held = 0; /* its producer takes back at once what is its own */
	consumer_lost(link, -EPIPE);
	watch_end(link->context, &half->held_watch);
	for (uint32_t i = 0; i < FBK_BUFFERS_MAX; i++) {
		exchange_forget(&exchange->buffers[i], link);
	}
	LIST_REMOVE(half, links);
	exchange->consumer_count--;
	half->exchange = NULL;
	link->lock = &link->own_lock;
	pthread_mutex_unlock(&exchange->lock);
}

/* The daemon compares: it knows the consumer's `hold`, and the buffers of this link. */
static int exchange_set_depth(struct fbk_link *link, uint32_t depth, enum fbk_when_full when_full)
{
	REQUEST(request, LINK_DEPTH, link_depth, .handle = link->state->handle, .depth = depth);
	int r = request_do(link->context, &request);
	if (r == 0) {
		link->producer->depth = depth;
		link->producer->skips = when_full == FBK_WHEN_FULL_SKIP;
	}
	return r;
}

int fbk_exchange_set_depth(struct fbk_exchange *exchange, struct fbk_link *link, uint32_t depth,
			   enum fbk_when_full when_full)
{
	if (depth > FBK_BUFFERS_MAX ||
	    (when_full != FBK_WHEN_FULL_WAIT && when_full != FBK_WHEN_FULL_SKIP)) {
		return error_set(-EINVAL,
				 "a depth of %u, and then %d: at most %d, and wait or skip", depth,
				 (int)when_full, FBK_BUFFERS_MAX);
	}
	if (link->role != FBK_ROLE_PRODUCER || link->producer->exchange != exchange) {
		return error_set(-EINVAL, "the link is none of the exchange");
	}
	pthread_mutex_lock(&exchange->lock);
	int r = exchange_set_depth(link, depth, when_full);
	pthread_mutex_unlock(&exchange->lock);
	return r;
}

void fbk_exchange_destroy(struct fbk_exchange *exchange)
{
	if (!exchange) {
		return;
	}
	if (exchange->destroyed) {
		*exchange->destroyed = true;
	}
	while (!LIST_EMPTY(&exchange->consumers)) {
		struct fbk_link *link = LIST_FIRST(&exchange->consumers)->link;
		if (link->peer.self) {
			link_give_up(link, -EPIPE, "");
		}
		exchange_remove_link(link);
	}
	watch_cancel(exchange->context, exchange->notifier);
	for (uint32_t i = 0; i < FBK_BUFFERS_MAX; i++) {
		buffer_let_go(&exchange->buffers[i]);
		buffer_unwatch(&exchange->buffers[i]);
	}
	exchange_free(exchange);
}
