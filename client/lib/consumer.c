// SPDX-License-Identifier: MIT
/* One consumer as its producer sees it: what it was handed, and what it gives back. */
#include <errno.h>
#include <stdio.h>

#include "exchange.h"

/* One consumer gave it back, or is gone. */
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
			exchange_tell_soon(exchange);
		}
	}
}

/* Whatever it has comes back in error. Called before its lane is dropped. */
void consumer_lost(struct fbk_link *link, int error)
{
	fbk_watch_cancel(link->watch);
	link->watch = NULL;
	while (link->returned < link->next) {
		buffer_returned(link->exchange, link_sent_at(link, link->returned++)->index, error);
	}
}

/* It broke its word, in a way that ends the link; unless it is gone, and what it showed with it. */
static void consumer_dismiss(struct fbk_link *link, int error, const char *reason)
{
	uint64_t epoch = link->epoch;
	link_refresh(link, consumer_lost);
	if (link->epoch != epoch || !link->in.timeline) {
		return;
	}
	link_give_up(link, error, reason);
	consumer_lost(link, error);
	link_refresh(link, consumer_lost);
}

/* What is to be waited for until the next frame is back: that it was given back, then that point. */
int consumer_head(struct fbk_link *link, struct fbk_point *ret_point, int *ret_result)
{
	struct lane_entry entry;
	struct fbk_point returned = { link->in.timeline, link->returned };
	int r = fbk_point_check(returned);
	if (r == -EAGAIN) {
		*ret_point = returned;
		return r;
	}
	if (r == 0) {
		r = lane_receive(&link->in, link->returned, &entry);
	}
	if (r == 0) {
		r = link_point_of(link, &entry, ret_point);
	}
	if (r < 0) {
		return r; /* the consumer's lane, or what it says there: that ends the link */
	}
	r = fbk_point_check(*ret_point);
	*ret_result = r < 0 && entry.result == 0 ? r : entry.result;
	return r == -EAGAIN ? r : 0;
}

/* Take back what is there. */
void consumer_collect(struct fbk_link *link)
{
	while (link->in.timeline && link->returned < link->next) {
		struct fbk_point point;
		int result = 0;
		int r = consumer_head(link, &point, &result);
		if (r == -EAGAIN) {
			return;
		}
		if (r == -EPROTO || r == -EBADF || r == -ENOENT || r == -ESTALE) {
			consumer_dismiss(link, -EPROTO, "what it gives back is nonsense");
			return;
		}
		if (r < 0) {
			consumer_lost(link, r); /* its lane failed: it is gone */
			return;
		}
		buffer_returned(link->exchange, link_sent_at(link, link->returned++)->index,
				result);
	}
}

/* Past the time that it had, looked at once more. */
void consumer_police(struct fbk_link *link, uint64_t now)
{
	char reason[128];
	if (link->in.timeline && link->returned < link->next &&
	    link_sent_at(link, link->returned)->deadline_ns <= now) {
		snprintf(reason, sizeof(reason), "frame %llu is late at %s (pid %d)",
			 (unsigned long long)link->returned, link->info.peer, link->info.pid);
		consumer_dismiss(link, -ETIMEDOUT, reason);
	}
}

int consumer_hand(struct fbk_link *link, uint32_t index, uint32_t generation,
		  struct fbk_point acquire, uint64_t deadline_ns)
{
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
	*link_sent_at(link, link->next) = (struct link_sent){ index, deadline_ns };
	int r = lane_send(&link->out, &entry);
	if (r == 0) {
		link->next++;
	}
	return r;
}
