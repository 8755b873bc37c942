// SPDX-License-Identifier: MIT
#include "role-producer.h"

#include <errno.h>
#include <stdlib.h>

#include "client/lib/error.h"
#include "client/lib/request.h"
#include "client/lib/timeline.h"
#include "consumer.h"
#include "exchange-link.h"
#include "exchange-refresh.h"
#include "exchange.h"

/* Above what either lane carried before: each outlives a peer. */
static int join_from(const struct fbk_link *link, uint64_t *ret_from)
{
	uint64_t last = fbk_timeline_value(link->out.timeline);
	for (uint32_t i = 0; !link->offered && i < FBK_BUFFERS_MAX; i++) {
		/* of an offering consumer: of our own offer its lane is new */
		uint64_t returned = lane_returned(&link->peer.page, i);
		last = returned > last ? returned : last;
	}
	*ret_from = last + 1;
	return last < LANE_VALUE_MAX
		       ? 0
		       : error_set(-EPROTO, "its frames would start from %llu, where numbers end",
				   (unsigned long long)last);
}

static int link_join(struct fbk_link *link)
{
	uint64_t from;
	int r = join_from(link, &from);
	if (r < 0) {
		link_give_up(link, r, fbk_error_detail());
		return r;
	}
	REQUEST(request, LINK_JOIN, link_join, .handle = link->state->handle, .from = from,
		.epoch = link->epoch);
	r = request_quiet(link->context, &request, NULL);
	if (r == 0) {
		link->next = from;
		link->producer->from = from;
		link->producer->seen = fbk_timeline_value(peer_lane(&link->peer));
		link->producer->pauses = lane_wishes_read(&link->peer.page).pauses;
		link->info.phase = FBK_PHASE_ESTABLISHED;
	}
	return r; /* refused: that consumer left meanwhile, which is a change to ask about */
}

static int producer_met(struct fbk_link *link, uint64_t from)
{
	(void)from; /* it is what this end joins with */
	return link->producer->exchange && link->peer.self && link->info.phase == FBK_PHASE_ACCEPTED
		       ? link_join(link)
		       : 0;
}

static int producer_refresh(struct fbk_link *link)
{
	struct fbk_exchange *exchange = link->producer->exchange;
	return exchange ? exchange_refresh(exchange) : link_refresh(link);
}

/* The oldest that the consumer has not finished: that it gives it back, or its release point. */
static int producer_awaited(struct fbk_link *link, struct fbk_point *ret_point)
{
	struct link_producer *half = link->producer;
	const struct link_sent *oldest = NULL;
	uint32_t index;
	FOREACH_INDEX(index, half->out | half->acked) {
		const struct link_sent *sent = &half->sent[index];
		if (!oldest || sent->sequence < oldest->sequence) {
			oldest = sent;
		}
	}
	if (!oldest) {
		return error_set(-ENOENT, "the consumer has no frame of this link");
	}
	*ret_point =
		half->acked & index_bit(oldest->index)
			? (struct fbk_point){ oldest->release->timeline, oldest->release_value }
			: (struct fbk_point){ peer_lane(&link->peer), half->seen + 1 };
	return 0;
}

static bool producer_busy(struct fbk_link *link)
{
	const struct link_producer *half = link->producer;
	return (half->out | half->acked | half->held) != 0;
}

/* The consumer learns that nothing comes after what is offered. */
static void producer_stop(struct fbk_link *link)
{
	if (link_open(link)) {
		lane_stopped_write(&link->out.page);
		fbk_timeline_signal(link->out.timeline, link->next++);
	}
	if (link->producer->exchange) {
		exchange_watch(link->producer->exchange);
	}
}

static void producer_free(struct fbk_link *link)
{
	uint32_t index;
	FOREACH_INDEX(index, link->producer->acked) { /* at the end of the context */
		lane_point_unref(link->context, link->producer->sent[index].release);
	}
	free(link->producer);
}

static const struct link_role role_producer = {
	.met = producer_met,
	.lost = consumer_lost,
	.refresh = producer_refresh,
	.awaited = producer_awaited,
	.busy = producer_busy,
	.stop = producer_stop,
	.leave = exchange_remove_link,
	.free = producer_free,
};

int role_producer_create(struct fbk_link *link)
{
	link->producer = calloc(1, sizeof(*link->producer));
	if (!link->producer) {
		return error_plain(-ENOMEM);
	}
	link->producer->link = link;
	link->ops = &role_producer;
	return 0;
}
