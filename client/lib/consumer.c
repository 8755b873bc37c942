// SPDX-License-Identifier: MIT
/* One consumer as its producer sees it: what it was handed, and what it gives back. */
#include <errno.h>
#include <stdio.h>

#include "error.h"
#include "exchange.h"

/* One consumer said that it gives it back, or is gone. */
static void buffer_said(struct fbk_exchange *exchange, uint32_t index)
{
	struct exchange_buffer *buffer = &exchange->buffers[index];
	if (--buffer->unsaid == 0) {
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
			exchange_tell_soon(exchange);
		}
	}
}

/* The oldest one is done. */
static void consumer_return(struct fbk_link *link, int result)
{
	const struct link_sent *sent = link_sent_at(link, link->returned++);
	if (!sent->early) {
		buffer_returned(link->exchange, sent->index, result);
	}
}

static int consumer_say(struct fbk_link *link);
static bool consumer_done(struct fbk_link *link);

/* What it gave back before it went is back; the rest comes back in error. Called before its lane is dropped. */
void consumer_lost(struct fbk_link *link, int error)
{
	fbk_watch_cancel(link->watch);
	link->watch = NULL;
	while (link->said < link->next && consumer_say(link) == 0) {
	}
	while (link->returned < link->said && consumer_done(link)) {
	}
	while (link->said < link->next) {
		buffer_said(link->exchange, link_sent_at(link, link->said++)->index);
	}
	while (link->returned < link->next) {
		consumer_return(link, error);
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

/* The next frame that it gives back: 0, -EAGAIN, or what ends the link. */
static int consumer_say(struct fbk_link *link)
{
	struct link_sent *sent = link_sent_at(link, link->said);
	struct lane_entry entry;
	int r = fbk_point_check((struct fbk_point){ link->in.timeline, link->said });
	if (r == 0) {
		r = lane_receive(&link->in, link->said, &entry);
	}
	if (r == 0) {
		r = link_point_of(link, &entry, &sent->release);
	}
	if (r == 0) {
		sent->result = entry.result;
		link->said++;
		buffer_said(link->exchange, sent->index);
	}
	return r;
}

/* Is the oldest of those that were given back released? */
static bool consumer_done(struct fbk_link *link)
{
	const struct link_sent *sent = link_sent_at(link, link->returned);
	int r = fbk_point_check(sent->release);
	if (r != -EAGAIN) {
		consumer_return(link, r < 0 && sent->result == 0 ? r : sent->result);
	}
	return r != -EAGAIN;
}

void consumer_collect(struct fbk_link *link)
{
	int r = 0;
	while (r == 0 && link->in.timeline && link->said < link->next) {
		r = consumer_say(link);
	}
	if (r == -EPROTO || r == -EBADF || r == -ENOENT || r == -ESTALE) {
		consumer_dismiss(link, -EPROTO, "what it gives back is nonsense");
	} else if (r < 0 && r != -EAGAIN && r != -ENOTCONN) {
		consumer_lost(link, r); /* its lane failed: it is gone */
	}
	while (link->returned < link->said && consumer_done(link)) {
	}
}

struct fbk_point consumer_awaited(struct fbk_link *link)
{
	return link->returned < link->said ? link_sent_at(link, link->returned)->release
					   : (struct fbk_point){ link->in.timeline, link->said };
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

int consumer_may_hand(struct fbk_link *link, struct fbk_point acquire)
{
	if (link->next - link->returned == FBK_RING_SIZE) {
		return error_set(-ENOBUFS, "%s has %d frames that are not released yet",
				 link->info.peer, FBK_RING_SIZE);
	}
	int number = link_number_of(link, acquire.timeline);
	return number < 0 ? number : 0;
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
	*link_sent_at(link, link->next) = (struct link_sent){
		.index = index,
		.deadline_ns = deadline_ns,
	};
	int r = lane_send(&link->out, &entry);
	if (r == 0) {
		link->next++;
	}
	return r;
}
