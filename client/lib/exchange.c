// SPDX-License-Identifier: MIT
/* The producer's side: which buffers are where, handing them over, and getting them back. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "context.h"
#include "error.h"
#include "exchange.h"
#include "proto/container.h"
#include "request.h"
#include "timeline.h"
#include "watch-arm.h"

/* ------------------------------------------------------------------------------------- buffers -- */

static int buffer_send(const struct fbk_link *link, uint32_t index,
		       const struct exchange_buffer *buffer)
{
	const struct fbk_buffer_desc *desc = &buffer->desc;
	bool there = buffer->state != BUFFER_NONE;
	Fbk__Wire__Buffer wire = FBK__WIRE__BUFFER__INIT;
	wire.index = index;
	wire.generation = buffer->generation;
	wire.width = desc->width;
	wire.height = desc->height;
	wire.format = desc->format;
	wire.modifier = desc->modifier;
	wire.offset = (uint32_t *)(uintptr_t)desc->offset; /* only packed */
	wire.stride = (uint32_t *)(uintptr_t)desc->stride;
	wire.n_offset = wire.n_stride = desc->plane_count;
	REQUEST(request, LINK_BUFFER, link_buffer, .handle = link->state->handle, .buffer = &wire);
	return request_do_fds(link->context, &request, &desc->fd, there ? 1 : 0);
}

/* Whoever took it early does not wait for anything any more. */
static void buffer_let_go(struct exchange_buffer *buffer)
{
	while (buffer->kept_count > 0) {
		fbk_timeline_close(buffer->kept[--buffer->kept_count]);
	}
}

static void buffer_clear(struct exchange_buffer *buffer)
{
	if (buffer->state != BUFFER_NONE) {
		close(buffer->desc.fd);
	}
	*buffer = (struct exchange_buffer){ .generation = buffer->generation };
}

int exchange_refresh(struct fbk_exchange *exchange, uint64_t now)
{
	struct fbk_link *link;
	int r = 0;
	LIST_FOREACH(link, &exchange->consumers, exchange_links) {
		int one = link_refresh(link, consumer_lost);
		r = one < 0 ? one : r;
		if (link->returned < link->next) {
			consumer_collect(link);
			consumer_police(link, now);
		}
	}
	return r;
}

/* ------------------------------------------------------------------------------ birth and death -- */

static int exchange_check_link(const struct fbk_link *link)
{
	if (link->role != FBK_PRODUCER) {
		return error_set(-EINVAL, "this end of the link is the consumer's");
	}
	if (link->exchange) {
		return error_set(-EBUSY, "the link has an exchange already");
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
	for (uint32_t i = 0; r == 0 && i < FBK_BUFFERS_MAX; i++) {
		if (exchange->buffers[i].state != BUFFER_NONE) {
			r = buffer_send(link, i, &exchange->buffers[i]);
		}
	}
	if (r == 0) {
		LIST_INSERT_HEAD(&exchange->consumers, link, exchange_links);
		exchange->consumer_count++;
		link->exchange = exchange;
		link->lock = &exchange->lock;
		link->seen = 0; /* there may be somebody to join */
		exchange_refresh(exchange, now_ns());
	}
	pthread_mutex_unlock(&exchange->lock);
	return r;
}

static void exchange_free(struct fbk_exchange *exchange)
{
	for (uint32_t i = 0; i < FBK_BUFFERS_MAX; i++) {
		buffer_clear(&exchange->buffers[i]);
	}
	pthread_mutex_destroy(&exchange->lock);
	free(exchange);
}

static void exchange_drop(struct child *child)
{
	exchange_free(container_of(child, struct fbk_exchange, child));
}

static const struct child_ops exchange_child = { .drop = exchange_drop };

int fbk_exchange_create(struct fbk_link *link, struct fbk_exchange **ret_exchange)
{
	int r = exchange_check_link(link);
	if (r < 0) {
		return r;
	}
	struct fbk_exchange *exchange = calloc(1, sizeof(*exchange));
	if (!exchange) {
		return error_plain(-ENOMEM);
	}
	exchange->context = link->context;
	pthread_mutex_init(&exchange->lock, NULL);
	r = fbk_exchange_attach(exchange, link);
	if (r < 0) {
		pthread_mutex_destroy(&exchange->lock);
		free(exchange);
		return r;
	}
	pthread_mutex_lock(&link->context->mutex);
	child_add(&link->context->children, &exchange->child, &exchange_child);
	pthread_mutex_unlock(&link->context->mutex);
	*ret_exchange = exchange;
	return 0;
}

void exchange_remove_link(struct fbk_link *link)
{
	struct fbk_exchange *exchange = link->exchange;
	if (!exchange) {
		return;
	}
	pthread_mutex_lock(&exchange->lock);
	if (link->in.timeline) {
		consumer_lost(link, -EPIPE);
	}
	LIST_REMOVE(link, exchange_links);
	exchange->consumer_count--;
	link->exchange = NULL;
	link->lock = &link->own_lock;
	pthread_mutex_unlock(&exchange->lock);
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
		struct fbk_link *link = LIST_FIRST(&exchange->consumers);
		if (link->in.timeline) {
			link_give_up(link, -EPIPE, "");
		}
		exchange_remove_link(link);
	}
	watch_cancel(exchange->context, exchange->teller);
	for (uint32_t i = 0; i < FBK_BUFFERS_MAX; i++) {
		buffer_let_go(&exchange->buffers[i]);
	}
	pthread_mutex_lock(&exchange->context->mutex);
	child_remove(&exchange->child);
	pthread_mutex_unlock(&exchange->context->mutex);
	exchange_free(exchange);
}

/* --------------------------------------------------------------------------- adding, removing --- */

static int exchange_find(struct fbk_exchange *exchange, uint32_t index, bool there,
			 struct exchange_buffer **ret_buffer)
{
	if (index >= FBK_BUFFERS_MAX) {
		return error_set(-EINVAL, "buffer %u: an exchange has at most %d, from 0", index,
				 FBK_BUFFERS_MAX);
	}
	struct exchange_buffer *buffer = &exchange->buffers[index];
	if ((buffer->state != BUFFER_NONE) != there) {
		return error_set(there ? -ENOENT : -EEXIST,
				 there ? "there is no buffer %u" : "there is a buffer %u already",
				 index);
	}
	*ret_buffer = buffer;
	return 0;
}

int fbk_exchange_add(struct fbk_exchange *exchange, uint32_t index,
		     const struct fbk_buffer_desc *desc)
{
	struct exchange_buffer *buffer = NULL;
	struct fbk_link *link, *done;
	pthread_mutex_lock(&exchange->lock);
	int r = exchange_find(exchange, index, false, &buffer);
	if (r == 0 && (desc->plane_count == 0 || desc->plane_count > FBK_PLANES_MAX)) {
		r = error_set(-EINVAL, "buffer %u: a buffer has 1 to %d planes", index,
			      FBK_PLANES_MAX);
	}
	if (r < 0) {
		pthread_mutex_unlock(&exchange->lock);
		close(desc->fd);
		return r;
	}
	buffer->desc = *desc;
	buffer->generation++;
	buffer->state = BUFFER_FREE;
	buffer->freed = ++exchange->freed;
	LIST_FOREACH(link, &exchange->consumers, exchange_links) {
		r = buffer_send(link, index, buffer);
		if (r < 0) {
			break;
		}
	}
	if (r < 0) {
		buffer_clear(buffer);
		for (done = LIST_FIRST(&exchange->consumers); done != link;
		     done = LIST_NEXT(done, exchange_links)) {
			buffer_send(done, index, buffer);
		}
	}
	pthread_mutex_unlock(&exchange->lock);
	return r;
}

int fbk_exchange_remove(struct fbk_exchange *exchange, uint32_t index)
{
	struct exchange_buffer *buffer = NULL;
	struct fbk_link *link;
	pthread_mutex_lock(&exchange->lock);
	exchange_refresh(exchange, now_ns());
	int r = exchange_find(exchange, index, true, &buffer);
	if (r == 0 && (buffer->state == BUFFER_HANDED || buffer->state == BUFFER_BACK)) {
		r = error_set(-EBUSY, "buffer %u is with a consumer", index);
	}
	if (r == 0) {
		buffer_let_go(buffer);
		buffer_clear(buffer);
		LIST_FOREACH(link, &exchange->consumers, exchange_links) {
			buffer_send(link, index, buffer); /* none: removes it */
		}
	}
	pthread_mutex_unlock(&exchange->lock);
	return r;
}

/* ------------------------------------------------------------------------------------- taking --- */

/* -EAGAIN: one has to come back first; with `early` it is enough that all consumers said so. */
static int exchange_choose(struct fbk_exchange *exchange, bool early,
			   struct exchange_buffer **ret_buffer)
{
	struct exchange_buffer *best = NULL, *said = NULL;
	bool any = false, handed = false;
	for (uint32_t i = 0; i < FBK_BUFFERS_MAX; i++) {
		struct exchange_buffer *buffer = &exchange->buffers[i];
		bool out = buffer->state == BUFFER_HANDED;
		any |= buffer->state != BUFFER_NONE;
		handed |= out;
		if (buffer->state == BUFFER_FREE && (!best || buffer->freed < best->freed)) {
			best = buffer;
		}
		if (early && out && buffer->unsaid == 0 && !buffer->fn &&
		    (!said || buffer->freed < said->freed)) {
			said = buffer;
		}
	}
	if (best || said) {
		*ret_buffer = best ? best : said;
		return 0;
	}
	if (!any) {
		return error_set(-ENOENT, "the exchange has no buffers: add some");
	}
	return handed ? -EAGAIN : error_set(-EBUSY, "all buffers are taken: hand one over");
}

/* What is left to be reached until nobody uses it: no more than one point of each consumer. */
static size_t buffer_releases(struct fbk_exchange *exchange, uint32_t index,
			      struct fbk_release *releases)
{
	struct exchange_buffer *buffer = &exchange->buffers[index];
	struct fbk_link *link;
	size_t count = 0;
	LIST_FOREACH(link, &exchange->consumers, exchange_links) {
		for (uint64_t n = link->returned; n < link->said; n++) {
			struct link_sent *sent = link_sent_at(link, n);
			if (sent->index == index && !sent->early) {
				sent->early = true;
				timeline_ref(sent->release.timeline);
				buffer->kept[buffer->kept_count++] = sent->release.timeline;
				releases[count++] = (struct fbk_release){ link, sent->release };
			}
		}
	}
	return count;
}

static size_t exchange_take(struct fbk_exchange *exchange, struct exchange_buffer *buffer,
			    struct fbk_release *releases)
{
	uint32_t index = (uint32_t)(buffer - exchange->buffers);
	size_t count =
		buffer->state == BUFFER_HANDED ? buffer_releases(exchange, index, releases) : 0;
	buffer->state = BUFFER_TAKEN;
	buffer->consumers = 0;
	return count;
}

/* What could bring one back, and when a consumer is late. */
static size_t exchange_points(struct fbk_exchange *exchange, bool early, struct fbk_point *points,
			      uint64_t *deadline_ns)
{
	struct fbk_link *link;
	size_t count = 0;
	LIST_FOREACH(link, &exchange->consumers, exchange_links) {
		if (link->info.phase == FBK_LINK_ENDED) {
			continue;
		}
		points[count++] = link_change(link);
		if (!link->in.timeline || link->returned == link->next) {
			continue;
		}
		uint64_t late_ns = link_sent_at(link, link->returned)->deadline_ns;
		points[count++] = early && link->said < link->next
					  ? (struct fbk_point){ link->in.timeline, link->said }
					  : consumer_awaited(link);
		*deadline_ns = late_ns < *deadline_ns ? late_ns : *deadline_ns;
	}
	return count;
}

static int exchange_wait(struct fbk_exchange *exchange, uint64_t deadline_ns, uint32_t *ret_index,
			 struct fbk_release *ret_releases, size_t *ret_count)
{
	struct fbk_point points[2 * FBK_CONSUMERS_MAX];
	bool early = ret_count != NULL;
	size_t index;
	for (;;) {
		struct exchange_buffer *buffer = NULL;
		uint64_t until = deadline_ns;
		size_t count = 0;
		uint64_t now = now_ns(); /* before it is looked what is back */
		bool last = now >= deadline_ns;
		pthread_mutex_lock(&exchange->lock);
		int r = exchange_refresh(exchange, now);
		int taken = exchange_choose(exchange, early, &buffer);
		if (taken == 0) {
			count = exchange_take(exchange, buffer, ret_releases);
			*ret_index = (uint32_t)(buffer - exchange->buffers);
		} else if (taken == -EAGAIN) {
			count = exchange_points(exchange, early, points, &until);
		}
		pthread_mutex_unlock(&exchange->lock);
		if (taken == 0 && early) {
			*ret_count = count;
		}
		if (taken != -EAGAIN || r < 0) {
			return taken == -EAGAIN ? r : taken;
		}
		if (last) {
			return error_set(-ETIMEDOUT, "all buffers are in use");
		}
		r = fbk_point_wait_any(points, count, until, &index);
		if (r == -EBADF || r == -ENOTCONN) {
			return r;
		}
	}
}

int fbk_exchange_take(struct fbk_exchange *exchange, uint64_t deadline_ns, uint32_t *ret_index)
{
	return exchange_wait(exchange, deadline_ns, ret_index, NULL, NULL);
}

int fbk_exchange_take_early(struct fbk_exchange *exchange, uint64_t deadline_ns,
			    uint32_t *ret_index, struct fbk_release *ret_releases,
			    size_t *ret_count)
{
	return exchange_wait(exchange, deadline_ns, ret_index, ret_releases, ret_count);
}

int fbk_release_fd(const struct fbk_release *release, int *ret_fd)
{
	return link_fence(release->link, release->link->info.release, release->point, ret_fd);
}

/* ------------------------------------------------------------------------------------ handing --- */

/* All of them, or none: what could go wrong does before anybody is told. */
static int exchange_may_hand(struct fbk_exchange *exchange, struct fbk_point acquire)
{
	struct fbk_link *link;
	int r = 0;
	LIST_FOREACH(link, &exchange->consumers, exchange_links) {
		if (r == 0 && link_open(link)) {
			r = consumer_may_hand(link, acquire);
		}
	}
	return r;
}

static int exchange_nobody(const struct fbk_exchange *exchange)
{
	const struct fbk_link *link = LIST_FIRST(&exchange->consumers);
	return error_set(-ENOTCONN, "no consumer is there: %s",
			 !link                 ? "the exchange has no links"
			 : link->info.cause[0] ? link->info.cause
					       : "nobody accepted the link yet");
}

int fbk_exchange_hand(struct fbk_exchange *exchange, uint32_t index, struct fbk_point acquire,
		      uint64_t deadline_ns, fbk_released_fn *on_released, void *arg)
{
	struct exchange_buffer *buffer = NULL;
	struct fbk_link *link;
	pthread_mutex_lock(&exchange->lock);
	exchange_refresh(exchange, 0);
	int r = exchange_find(exchange, index, true, &buffer);
	if (r == 0 && (buffer->state == BUFFER_HANDED || buffer->state == BUFFER_BACK)) {
		r = error_set(-EBUSY, "buffer %u is handed over already", index);
	}
	if (r == 0 && acquire.timeline && (acquire.value == 0 || acquire.value > FBK_POINT_MAX)) {
		r = error_set(-ERANGE, "%llu is not a point", (unsigned long long)acquire.value);
	}
	if (r == 0) {
		r = exchange_may_hand(exchange, acquire);
	}
	if (r < 0) {
		pthread_mutex_unlock(&exchange->lock);
		return r;
	}
	uint32_t consumers = 0;
	LIST_FOREACH(link, &exchange->consumers, exchange_links) {
		if (link_open(link)) {
			consumers += consumer_hand(link, index, buffer->generation, acquire,
						   deadline_ns) == 0;
		}
	}
	if (consumers > 0) {
		buffer_let_go(buffer);
		buffer->state = BUFFER_HANDED;
		buffer->consumers = consumers;
		buffer->unsaid = consumers;
		buffer->result = 0;
		buffer->fn = on_released;
		buffer->arg = arg;
		exchange_watch(exchange);
	} else {
		r = exchange_nobody(exchange);
	}
	pthread_mutex_unlock(&exchange->lock);
	return r;
}
