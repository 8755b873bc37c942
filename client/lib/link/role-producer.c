// SPDX-License-Identifier: MIT
#include "role-producer.h"

#include <errno.h>
#include <stdlib.h>

#include "client/lib/clock.h"
#include "client/lib/error.h"
#include "client/lib/request.h"
#include "client/lib/timeline.h"
#include "consumer.h"
#include "exchange-link.h"
#include "exchange-refresh.h"

static int link_join(struct fbk_link *link)
{
	/* Above what either lane carried before: each outlives a peer. */
	uint64_t handed = fbk_timeline_value(link->out.timeline);
	uint64_t returned = fbk_timeline_value(link->in.timeline);
	uint64_t from = (handed > returned ? handed : returned) + 1;
	REQUEST(request, LINK_JOIN, link_join, .handle = link->state->handle, .from = from,
		.epoch = link->epoch);
	int r = request_do(link->context, &request);
	if (r == 0) {
		link->next = from;
		link->producer->acked = from;
		link->producer->returned = from;
		link->info.phase = FBK_LINK_ESTABLISHED;
	}
	/* stale epoch: that consumer left meanwhile, which is a change to ask about */
	return r == -EALREADY ? 0 : r;
}

static int producer_met(struct fbk_link *link, uint64_t from)
{
	(void)from; /* it is what this end joins with */
	return link->producer->exchange && link->in.timeline &&
			       link->info.phase == FBK_LINK_ACCEPTED
		       ? link_join(link)
		       : 0;
}

static int producer_refresh(struct fbk_link *link)
{
	struct fbk_exchange *exchange = link->producer->exchange;
	return exchange ? exchange_refresh(exchange, now_ns()) : link_refresh(link);
}

static int producer_awaited(struct fbk_link *link, struct fbk_point *ret_point)
{
	if (link->producer->returned == link->next) {
		return error_set(-ENOENT, "the peer has nothing of this link");
	}
	*ret_point = consumer_awaited(link);
	return 0;
}

static void producer_free(struct fbk_link *link)
{
	free(link->producer);
}

static const struct link_role role_producer = {
	.met = producer_met,
	.lost = consumer_lost,
	.refresh = producer_refresh,
	.awaited = producer_awaited,
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
