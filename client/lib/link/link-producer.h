// SPDX-License-Identifier: MIT
/*
 * A producer's half of a link: what its consumer was handed, and has not given back. Made with the link by
 * role-producer.c; used by what makes up an exchange. Under the link's lock, which is that of its exchange.
 *
 * Sequences: frames below `returned` are back; from there on they were acknowledged, and their release points are
 * to be reached; from `acked` on the consumer has them; link->next is the next one to hand over.
 */
#pragma once

#include <bsd/sys/queue.h>
#include <stdbool.h>
#include <stdint.h>

#include "fencebroker.h"
#include "proto/page.h"

struct fbk_link;

/* A frame that was handed over and is not back. */
struct link_sent {
	uint32_t index;
	uint64_t deadline_ns;
	/* once it was acknowledged */
	struct fbk_point release; /* to be reached still */
	int result;
	bool early; /* the buffer was taken before that */
};

struct link_producer {
	LIST_ENTRY(link_producer) links; /* of the exchange */
	struct fbk_link *link;
	struct fbk_exchange *exchange; /* NULL: none yet */
	uint64_t acked;                /* the next frame that the consumer gives back */
	uint64_t returned;             /* the next one whose release point is to be reached */
	struct link_sent sent[FBK_RING_SIZE];
	struct fbk_watch *watch; /* for that one; NULL: none */
};

static inline struct link_sent *link_sent_at(struct link_producer *half, uint64_t sequence)
{
	return &half->sent[sequence % FBK_RING_SIZE];
}
