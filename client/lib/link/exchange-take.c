// SPDX-License-Identifier: MIT
/* Taking a buffer of an exchange: one that is back, or one that all consumers acknowledged. */
#include <errno.h>

#include "client/lib/clock.h"
#include "client/lib/error.h"
#include "client/lib/timeline.h"
#include "consumer.h"
#include "exchange-refresh.h"
#include "exchange.h"
#include "link-point.h"

/* -EAGAIN: one has to come back first; with `early` it is enough that all consumers acknowledged it. */
static int exchange_choose(struct fbk_exchange *exchange, bool early,
			   struct exchange_buffer **ret_buffer)
{
	struct exchange_buffer *best = NULL, *acked = NULL;
	bool any = false, handed = false;
	for (uint32_t i = 0; i < FBK_BUFFERS_MAX; i++) {
		struct exchange_buffer *buffer = &exchange->buffers[i];
		bool out = buffer->state == BUFFER_HANDED;
		any |= buffer->state != BUFFER_NONE;
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
	if (!any) {
		return error_set(-ENOENT, "the exchange has no buffers: add some");
	}
	return handed ? -EAGAIN : error_set(-EBUSY, "all buffers are taken: hand one over");
}

/* The points that are to be reached until the buffer is unused: one of each consumer at most. */
static size_t buffer_releases(struct fbk_exchange *exchange, uint32_t index,
			      struct fbk_release *releases)
{
	struct exchange_buffer *buffer = &exchange->buffers[index];
	struct link_producer *half;
	size_t count = 0;
	LIST_FOREACH(half, &exchange->consumers, links) {
		for (uint64_t n = half->returned; n < half->acked; n++) {
			struct link_sent *sent = link_sent_at(half, n);
			if (sent->index == index && !sent->early) {
				sent->early = true;
				timeline_ref(sent->release.timeline);
				buffer->kept[buffer->kept_count++] = sent->release.timeline;
				releases[count++] =
					(struct fbk_release){ half->link, sent->release };
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
struct awaited {
	struct fbk_point points[2 * FBK_CONSUMERS_MAX];
	size_t count;
	uint64_t until_ns;
};

static void exchange_awaited(struct fbk_exchange *exchange, bool early, struct awaited *awaited)
{
	struct link_producer *half;
	LIST_FOREACH(half, &exchange->consumers, links) {
		struct fbk_link *link = half->link;
		if (link->info.phase == FBK_LINK_ENDED) {
			continue;
		}
		awaited->points[awaited->count++] = link_change(link);
		if (!link->in.timeline || half->returned == link->next) {
			continue;
		}
		uint64_t late_ns = link_sent_at(half, half->returned)->deadline_ns;
		awaited->points[awaited->count++] =
			early && half->acked < link->next
				? (struct fbk_point){ link->in.timeline, half->acked }
				: consumer_awaited(link);
		awaited->until_ns = late_ns < awaited->until_ns ? late_ns : awaited->until_ns;
	}
}

/* What a take gives; without `releases` only a buffer that is back will do. */
struct taking {
	uint32_t *index;
	struct fbk_release *releases;
	size_t *count;
};

/* -EAGAIN: there is none yet, and what to wait for is in `awaited`. */
static int exchange_try(struct fbk_exchange *exchange, uint64_t now, const struct taking *taking,
			struct awaited *awaited)
{
	struct exchange_buffer *buffer = NULL;
	bool early = taking->count != NULL;
	pthread_mutex_lock(&exchange->lock);
	int refreshed = exchange_refresh(exchange, now);
	int r = exchange_choose(exchange, early, &buffer);
	if (r == 0) {
		size_t count = exchange_take(exchange, buffer, taking->releases);
		*taking->index = (uint32_t)(buffer - exchange->buffers);
		if (early) {
			*taking->count = count;
		}
	} else if (r == -EAGAIN && refreshed < 0) {
		r = refreshed;
	} else if (r == -EAGAIN) {
		exchange_awaited(exchange, early, awaited);
	}
	pthread_mutex_unlock(&exchange->lock);
	return r;
}

static int exchange_wait(struct fbk_exchange *exchange, uint64_t deadline_ns,
			 const struct taking *taking)
{
	for (;;) {
		struct awaited awaited = { .until_ns = deadline_ns };
		size_t index;
		uint64_t now = now_ns(); /* before the look at what is back */
		int r = exchange_try(exchange, now, taking, &awaited);
		if (r != -EAGAIN) {
			return r;
		}
		if (now >= deadline_ns) {
			return error_set(-ETIMEDOUT, "all buffers are in use");
		}
		r = fbk_point_wait_any(awaited.points, awaited.count, awaited.until_ns, &index);
		if (r == -EBADF || r == -ENOTCONN) {
			return r;
		}
	}
}

int fbk_exchange_take(struct fbk_exchange *exchange, uint64_t deadline_ns, uint32_t *ret_index)
{
	return exchange_wait(exchange, deadline_ns, &(struct taking){ .index = ret_index });
}

int fbk_exchange_take_early(struct fbk_exchange *exchange, uint64_t deadline_ns,
			    uint32_t *ret_index, struct fbk_release *ret_releases,
			    size_t *ret_count)
{
	return exchange_wait(exchange, deadline_ns,
			     &(struct taking){ ret_index, ret_releases, ret_count });
}

int fbk_release_fd(const struct fbk_release *release, int *ret_fd)
{
	return link_fence(release->link, release->link->info.release, release->point, ret_fd);
}
