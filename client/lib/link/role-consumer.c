// SPDX-License-Identifier: MIT
#include "role-consumer.h"

#include <errno.h>
#include <stdlib.h>

#include "client/lib/error.h"
#include "frame.h"
#include "link-watch.h"
#include "link.h"

static int consumer_met(struct fbk_link *link, uint64_t from)
{
	if (link->info.phase == FBK_LINK_ESTABLISHED && link->next == 0) {
		link->next = from;
		link->consumer->oldest = from;
	}
	return 0;
}

/* The producer is gone, and wants back nothing that it gave. The fds stay open until others come in their places,
 * since the program may be looking at them. */
static void producer_lost(struct fbk_link *link, int error)
{
	struct link_consumer *half = link->consumer;
	(void)error;
	frame_unwatch(link); /* its timeline goes; the change fires */
	for (uint32_t i = 0; i < FBK_RING_SIZE; i++) {
		half->frames[i].held = false;
	}
	half->oldest = link->next;
}

/* For the next frame to come. */
static int consumer_awaited(struct fbk_link *link, struct fbk_point *ret_point)
{
	*ret_point = (struct fbk_point){ link->in.timeline, link->next };
	return 0;
}

static void consumer_close(struct fbk_link *link)
{
	fbk_timeline_close(link->consumer->fences);
}

static void consumer_free(struct fbk_link *link)
{
	frames_drop(link->consumer);
	free(link->consumer);
}

static const struct link_role role_consumer = {
	.met = consumer_met,
	.lost = producer_lost,
	.refresh = link_refresh,
	.awaited = consumer_awaited,
	.leave = frames_unwatch,
	.close = consumer_close,
	.free = consumer_free,
};

int role_consumer_create(struct fbk_link *link)
{
	struct link_consumer *half = calloc(1, sizeof(*half));
	if (!half) {
		return error_plain(-ENOMEM);
	}
	for (uint32_t i = 0; i < FBK_BUFFERS_MAX; i++) {
		half->buffers[i].desc.fd = -1;
	}
	link->consumer = half;
	link->ops = &role_consumer;
	return 0;
}
