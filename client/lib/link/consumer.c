// SPDX-License-Identifier: MIT
#include "consumer.h"

#include <errno.h>
#include <stdio.h>

#include "client/lib/error.h"
#include "exchange-notify.h"
#include "exchange.h"
#include "link-point.h"

/* One consumer acknowledged it, or is gone. */
static void buffer_acked(struct fbk_exchange *exchange, uint32_t index)
{
	struct exchange_buffer *buffer = &exchange->buffers[index];
	if (--buffer->pending == 0) {
		buffer->freed = ++exchange->freed;
	}
}

/* One consumer is done with it, or is gone. */
static void buffer_returned(struct fbk_exchange *exchange, uint32_t index, int result)
{
	struct exchange_buffer *buffer = &exchange->buffers[index];
	if (buffer->result == 0) {
		buffer->result = result;
	}
	if (--buffer->consumers == 0) {
		buffer->state = buffer->fn ? BUFFER_BACK : BUFFER_FREE;
		buffer->freed = ++exchange->freed;
		if (buffer->fn) {
			exchange_notify_soon(exchange);
		}
	}
}

/* The oldest one is done. */
static void consumer_return(struct fbk_link *link, int result)
{
	struct link_producer *half = link->producer;
	const struct link_sent *sent = link_sent_at(half, half->returned++);
	if (!sent->early) {
		buffer_returned(half->exchange, sent->index, result);
	}
}

static int consumer_ack(struct fbk_link *link);
static bool consumer_done(struct fbk_link *link);

void consumer_lost(struct fbk_link *link, int error)
{
	struct link_producer *half = link->producer;
	fbk_watch_cancel(half->watch);
	half->watch = NULL;
	while (half->acked < link->next && consumer_ack(link) == 0) {
	}
	while (half->returned < half->acked && consumer_done(link)) {
	}
	while (half->acked < link->next) {
		buffer_acked(half->exchange, link_sent_at(half, half->acked++)->index);
	}
	while (half->returned < link->next) {
		consumer_return(link, error);
	}
}

/* It broke the protocol, or its deadline: that ends the pairing, unless it is gone already, and what it showed with
 * it. */
static void consumer_dismiss(struct fbk_link *link, int error, const char *reason)
{
	uint64_t epoch = link->epoch;
	link_refresh(link);
	if (link->epoch != epoch || !link->in.timeline) {
		return;
	}
	link_give_up(link, error, reason);
	consumer_lost(link, error);
	link_refresh(link);
}

/* Take over the next frame that it gives back: 0, -EAGAIN, or what ends the pairing. */
static int consumer_ack(struct fbk_link *link)
{
	struct link_producer *half = link->producer;
	struct link_sent *sent = link_sent_at(half, half->acked);
	struct lane_entry entry;
	int r = fbk_point_check((struct fbk_point){ link->in.timeline, half->acked });
	if (r == 0) {
		r = lane_receive(&link->in, half->acked, &entry);
	}
	if (r == 0) {
		r = link_point_of(link, &entry, &sent->release);
	}
	if (r == 0) {
		sent->result = entry.result;
		half->acked++;
		buffer_acked(half->exchange, sent->index);
	}
	return r;
}

/* Is the oldest of those that it acknowledged released? */
static bool consumer_done(struct fbk_link *link)
{
	struct link_producer *half = link->producer;
	const struct link_sent *sent = link_sent_at(half, half->returned);
	int r = fbk_point_check(sent->release);
	if (r != -EAGAIN) {
		consumer_return(link, r < 0 && sent->result == 0 ? r : sent->result);
	}
	return r != -EAGAIN;
}

void consumer_collect(struct fbk_link *link)
{
	struct link_producer *half = link->producer;
	int r = 0;
	while (r == 0 && link->in.timeline && half->acked < link->next) {
		r = consumer_ack(link);
	}
	if (r == -EPROTO || r == -EBADF || r == -ENOENT || r == -ESTALE) {
		consumer_dismiss(link, -EPROTO, "its release entries are invalid");
	} else if (r < 0 && r != -EAGAIN && r != -ENOTCONN) {
		consumer_lost(link, r); /* its lane failed: it is gone */
	}
	while (half->returned < half->acked && consumer_done(link)) {
	}
}

struct fbk_point consumer_awaited(struct fbk_link *link)
{
	struct link_producer *half = link->producer;
	return half->returned < half->acked ? link_sent_at(half, half->returned)->release
					    : (struct fbk_point){ link->in.timeline, half->acked };
}

/* Past the time that it had, looked at once more. */
void consumer_police(struct fbk_link *link, uint64_t now)
{
	struct link_producer *half = link->producer;
	char reason[128];
	if (link->in.timeline && half->returned < link->next &&
	    link_sent_at(half, half->returned)->deadline_ns <= now) {
		snprintf(reason, sizeof(reason), "frame %llu is late at %s (pid %d)",
			 (unsigned long long)half->returned, link->info.peer, link->info.pid);
		consumer_dismiss(link, -ETIMEDOUT, reason);
	}
}

int consumer_may_hand(struct fbk_link *link, struct fbk_point acquire)
{
	struct link_producer *half = link->producer;
	if (link->next - half->returned == FBK_RING_SIZE) {
		return error_set(-ENOBUFS, "%s has %d frames that are not released yet",
				 link->info.peer, FBK_RING_SIZE);
	}
	int number = link_number_of(link, acquire.timeline);
	return number < 0 ? number : 0;
}

int consumer_hand(struct fbk_link *link, uint32_t index, uint32_t generation,
		  struct fbk_point acquire, uint64_t deadline_ns)
{
	struct link_producer *half = link->producer;
	int number = link_number_of(link, acquire.timeline);
	if (number < 0) {
		return number;
	}
	struct lane_entry entry = {
		.sequence = link->next,
		.value = number ? acquire.value : 0,
		.timeline = (uint32_t)number,
		.index = index,
		.generation = generation,
		.deadline_ns = deadline_ns,
	};
	*link_sent_at(half, link->next) = (struct link_sent){
		.index = index,
		.deadline_ns = deadline_ns,
	};
	int r = lane_send(&link->out, &entry);
	if (r == 0) {
		link->next++;
	}
	return r;
}
