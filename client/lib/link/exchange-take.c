// SPDX-License-Identifier: MIT
/* Taking a buffer of an exchange: one that is back, or one that all consumers acknowledged. */
#include <errno.h>

#include "client/lib/context.h"
#include "client/lib/error.h"
#include "client/lib/timeline.h"
#include "awaited.h"
#include "consumer.h"
#include "exchange-buffer.h"
#include "exchange-refresh.h"
#include "exchange.h"
#include "link-point.h"

/* -EAGAIN: one has to come back first; with `early` it is enough that all consumers acknowledged it. */
static int exchange_choose(struct fbk_exchange *exchange, bool early,
			   struct exchange_buffer **ret_buffer)
{
	struct exchange_buffer *best = NULL, *acked = NULL;
	bool handed = false;
	uint32_t i;
	FOREACH_INDEX(i, exchange->there) {
		struct exchange_buffer *buffer = &exchange->buffers[i];
		bool out = buffer->state == BUFFER_HANDED;
		handed |= out;
		if (buffer->state == BUFFER_FREE && (!best || buffer->freed < best->freed)) {
			best = buffer;
		}
		if (early && out && buffer->pending == 0 && !buffer->fn &&
		    (!acked || buffer->freed < acked->freed)) {
			acked = buffer;
		}
	}
	if (best || acked) {
		*ret_buffer = best ? best : acked;
		return 0;
	}
	if (!exchange->there) {
		return error_set(-ENOENT, "the exchange has no buffers: add some");
	}
	return handed ? -EAGAIN : error_set(-EBUSY, "this process has all buffers: hand one over");
}

/* The points that are to be reached until the buffer is unused: one of each consumer at most, and its own. */
static size_t buffer_releases(struct exchange_buffer *buffer, uint32_t index,
			      struct fbk_release *releases)
{
	struct link_producer *half;
	struct fbk_point own;
	size_t count = 0;
	LIST_FOREACH(half, &buffer->exchange->consumers, links) {
		if (!(half->acked & index_bit(index))) {
			continue;
		}
		struct link_sent *sent = &half->sent[index];
		releases[count++] =
			(struct fbk_release){ half->link,
					      { sent->release->timeline, sent->release_value } };
		buffer->kept[buffer->kept_count++] =
			(struct kept){ half->link, lane_point_ref(sent->release) };
		consumer_let_go(half, index);
	}
	if (buffer->retracted && buffer_acquire(buffer, &own)) {
		releases[count++] = (struct fbk_release){ NULL, own };
		fbk_timeline_close(own.timeline); /* the program's own */
	}
	return count;
}

static size_t exchange_take(struct fbk_exchange *exchange, struct exchange_buffer *buffer,
			    struct fbk_release *releases)
{
	uint32_t index = (uint32_t)(buffer - exchange->buffers);
	size_t count =
		buffer->state == BUFFER_HANDED ? buffer_releases(buffer, index, releases) : 0;
	buffer->state = BUFFER_TAKEN;
	buffer->consumers = 0;
	return count;
}

/* Acquire points that free a buffer once they are reached: of those that were retracted, and of those that a mailbox
 * gives up older ones for. */
static void exchange_await_acquires(struct fbk_exchange *exchange, struct awaited *awaited)
{
	uint32_t i;
	FOREACH_INDEX(i, exchange->there) {
		struct exchange_buffer *buffer = &exchange->buffers[i];
		struct fbk_point point;
		if (buffer->state == BUFFER_HANDED && buffer_acquire(buffer, &point)) {
			awaited_add_owned(awaited, point);
		}
	}
}

static void exchange_await(struct fbk_exchange *exchange, bool early, struct awaited *awaited)
{
	struct link_producer *half;
	bool mailbox = false;
	uint32_t i;
	LIST_FOREACH(half, &exchange->consumers, links) {
		struct fbk_link *link = half->link;
		if (link->info.phase == FBK_PHASE_ENDED && !half->held) {
			continue;
		}
		awaited_add(awaited, link_change(link));
		consumer_await(link, early, awaited);
		if (link->peer.self) {
			mailbox |=
				lane_wishes_read(&link->peer.page).delivery == FBK_DELIVERY_MAILBOX;
		}
	}
	FOREACH_INDEX(i, exchange->there) {
		mailbox |= buffer_is_drawing(&exchange->buffers[i]);
	}
	if (mailbox) {
		exchange_await_acquires(exchange, awaited);
	}
}

static bool exchange_is_full(struct fbk_exchange *exchange)
{
	struct link_producer *half;
	LIST_FOREACH(half, &exchange->consumers, links) {
		if (consumer_is_full(half->link)) {
			return true;
		}
	}
	return false;
}

/* What a take gives; without `count` only a buffer that is back will do. */
struct taking {
	uint32_t *index, *age;
	struct fbk_release *releases;
	size_t *count;
};

static void exchange_give(struct fbk_exchange *exchange, struct exchange_buffer *buffer,
			  const struct taking *taking)
{
	size_t count = exchange_take(exchange, buffer, taking->releases);
	*taking->index = (uint32_t)(buffer - exchange->buffers);
	if (taking->count) {
		*taking->count = count;
	}
	if (taking->age) {
		*taking->age = buffer->frame ? (uint32_t)(exchange->frames - buffer->frame + 1) : 0;
	}
}

/* -EAGAIN: there is none yet, and what to wait for is in `awaited`. */
static int exchange_try(struct fbk_exchange *exchange, const struct taking *taking,
			struct awaited *awaited)
{
	struct exchange_buffer *buffer = NULL;
	bool early = taking->count != NULL;
	exchange_lock(exchange);
	/* without the daemon no end of a link is seen, and its buffers may be read still */
	int refreshed = context_lost(exchange->context) ? -ENOTCONN : exchange_refresh(exchange);
	int r = exchange_is_full(exchange) ? -EAGAIN : exchange_choose(exchange, early, &buffer);
	if (r == 0) {
		exchange_give(exchange, buffer, taking);
	} else if (r == -EAGAIN && refreshed < 0) {
		r = refreshed == -ENOTCONN ? error_lost() : refreshed;
	} else if (r == -EAGAIN) {
		exchange_await(exchange, early, awaited);
	}
	exchange_unlock(exchange);
	return r;
}

static int exchange_wait(struct fbk_exchange *exchange, uint64_t deadline_ns,
			 const struct taking *taking)
{
	const struct flushing *outer = scope_enter(&exchange->flushing);
	struct awaited awaited;
	int r;
	awaited_init(&awaited);
	while ((r = exchange_try(exchange, taking, &awaited)) == -EAGAIN) {
		r = awaited_wait(&awaited, exchange->context, deadline_ns);
		if (r < 0) {
			r = r == -ETIMEDOUT
				    ? error_set(r, "no buffer came back before the deadline")
				    : r;
			break;
		}
	}
	scope_enter(outer);
	return r;
}

int fbk_exchange_take(struct fbk_exchange *exchange, uint64_t deadline_ns, uint32_t *ret_index,
		      uint32_t *ret_age)
{
	int mine = context_check(exchange->context);
	if (mine < 0) {
		return mine;
	}
	return exchange_wait(exchange, deadline_ns,
			     &(struct taking){ .index = ret_index, .age = ret_age });
}

int fbk_exchange_take_early(struct fbk_exchange *exchange, uint64_t deadline_ns,
			    uint32_t *ret_index, uint32_t *ret_age,
			    struct fbk_release *ret_releases, size_t *ret_count)
{
	int mine = context_check(exchange->context);
	if (mine < 0) {
		return mine;
	}
	return exchange_wait(exchange, deadline_ns,
			     &(struct taking){ ret_index, ret_age, ret_releases, ret_count });
}

/* Under the lock. -EAGAIN: its point has to be reached first: it is counted for that. */
static int release_fetch(const struct fbk_release *release, uint64_t deadline_ns,
			 struct lane_point **ret_point, int *ret_fd)
{
	const struct fbk_link *link = release->link;
	struct lane_point *point = peer_point_find(&link->peer, release->point.timeline);
	if (!point) {
		point = peer_point_find(&link->past, release->point.timeline);
	}
	if (!point) {
		return error_set(-ESTALE, "the consumer is gone, or releases this buffer by "
					  "another timeline now");
	}
	int r = link_fence(link->info.release, point, release->point.value, deadline_ns, ret_fd);
	if (r == -EAGAIN) {
		*ret_point = lane_point_ref(point);
	}
	return r;
}

int fbk_release_fd(const struct fbk_release *release, uint64_t deadline_ns, int *ret_fd)
{
	struct fbk_link *link = release->link;
	if (!link) {
		return error_set(-EOPNOTSUPP, "this is a point of this process's own: wait for it");
	}
	int mine = link_check(link);
	if (mine < 0) {
		return mine;
	}
	for (;;) {
		struct lane_point *point = NULL;
		link_lock(link);
		int r = release_fetch(release, deadline_ns, &point, ret_fd);
		link_unlock(link);
		if (r != -EAGAIN) {
			return r;
		}
		const struct flushing *outer = scope_enter(&link->flushing);
		r = fbk_point_wait(release->point, deadline_ns);
		scope_enter(outer);
		lane_point_unref(link->context, point);
		if (r < 0) {
			return r;
		}
	}
}
