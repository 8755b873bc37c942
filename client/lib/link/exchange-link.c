// SPDX-License-Identifier: MIT
#include "exchange-link.h"

#include <errno.h>

#include "client/lib/call.h"
#include "client/lib/context.h"
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
		return error_set(-EPERM, "this end of the link is the consumer's");
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
	int mine = context_check(exchange->context);
	if (mine < 0) {
		return mine;
	}
	int r = exchange_check_link(link);
	if (r < 0) {
		return r;
	}
	if (link->context != exchange->context) {
		return error_set(-EINVAL, "the link belongs to another context than the exchange");
	}
	exchange_lock(exchange);
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
		pthread_mutex_lock(&link->own_lock);
		/* release: with the exchange */
		atomic_store_explicit(&link->lock, &exchange->lock, memory_order_release);
		pthread_mutex_unlock(&link->own_lock);
		link->seen = 0; /* there may be a consumer to join */
		exchange_refresh(exchange);
	}
	exchange_unlock(exchange);
	return r;
}

int fbk_exchange_create(struct fbk_link *link, struct fbk_exchange **ret_exchange)
{
	int mine = link_check(link);
	if (mine < 0) {
		return mine;
	}
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
	exchange_lock(exchange);
	link->held = 0; /* its producer takes back at once what is its own */
	consumer_lost(link, -EPIPE);
	watch_end(link->context, &half->held_watch);
	for (uint32_t i = 0; i < FBK_BUFFERS_MAX; i++) {
		exchange_forget(&exchange->buffers[i], link);
	}
	LIST_REMOVE(half, links);
	exchange->consumer_count--;
	half->exchange = NULL;
	/* release: with what was done under the other one */
	atomic_store_explicit(&link->lock, &link->own_lock, memory_order_release);
	exchange_unlock(exchange);
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
	int mine = context_check(exchange->context);
	if (mine < 0) {
		return mine;
	}
	if (depth > FBK_BUFFERS_MAX ||
	    (when_full != FBK_WHEN_FULL_WAIT && when_full != FBK_WHEN_FULL_SKIP)) {
		return error_set(-EINVAL,
				 "a depth of %u, and then %d: at most %d, and wait or skip", depth,
				 (int)when_full, FBK_BUFFERS_MAX);
	}
	if (link->role != FBK_ROLE_PRODUCER || link->producer->exchange != exchange) {
		return error_set(-EINVAL, "the link is not attached to the exchange");
	}
	exchange_lock(exchange);
	int r = exchange_set_depth(link, depth, when_full);
	exchange_unlock(exchange);
	return r;
}

/* No callback runs from now on: those that are about to find it closing. */
static void exchange_close(struct fbk_exchange *exchange)
{
	exchange_lock(exchange);
	exchange->closing = true;
	watch_end(exchange->context, &exchange->notifier);
	watch_end(exchange->context, &exchange->flushed);
	exchange_unlock(exchange);
	calls_wait_owner(&exchange->context->calls, exchange);
}

void fbk_exchange_destroy(struct fbk_exchange *exchange)
{
	if (!exchange || context_check(exchange->context) < 0) {
		return;
	}
	ERRORS_KEPT();
	exchange_close(exchange);
	while (!LIST_EMPTY(&exchange->consumers)) {
		struct fbk_link *link = LIST_FIRST(&exchange->consumers)->link;
		if (link->peer.self) {
			link_give_up(link, -EPIPE, "");
		}
		exchange_remove_link(link);
	}
	for (uint32_t i = 0; i < FBK_BUFFERS_MAX; i++) {
		buffer_let_go(&exchange->buffers[i]);
		buffer_unwatch(&exchange->buffers[i]);
	}
	calls_wait_owner(&exchange->context->calls, exchange);
	exchange_free(exchange);
}

int fbk_exchange_set_flushing(struct fbk_exchange *exchange, bool flushing)
{
	int r = context_check(exchange->context);
	if (r == 0) {
		context_set_flushing(exchange->context, &exchange->flushing, flushing);
	}
	return r;
}
