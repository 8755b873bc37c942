// SPDX-License-Identifier: MIT
/*
 * A producer's half of a link: what its consumer was handed, and has not given back. Made with the link by
 * role-producer.c; used by what makes up an exchange. Under the link's lock, which is that of its exchange.
 *
 * A buffer's part in this link: in `out`, the consumer has it or may take it; then in `acked`, the consumer gave it back
 * and its release point is not reached yet; then in neither. When the consumer is gone: in `held` while it may still use
 * it, which the daemon knows; it is in `acked` as well if its release point is open, and free with the first of the two.
 */
#pragma once

#include <bsd/sys/queue.h>
#include <stdbool.h>
#include <stdint.h>

#include "damage.h"
#include "fencebroker.h"
#include "lane.h"
#include "proto/index-mask.h"
#include "proto/page.h"

_Static_assert(FBK_BUFFERS_MAX == 64, "a mask has a bit for each buffer");

struct fbk_link;

/* Of one buffer: the last frame in it. */
struct link_sent {
	struct link_producer *half;
	uint64_t sequence;
	uint32_t number; /* of its acquire timeline */
	uint32_t index;
	/* while it is in `acked` */
	struct lane_point *release; /* counted */
	uint64_t release_value;
	int result;
	int lost;       /* while it is in `held`: how its consumer ended */
	uint64_t watch; /* of that point, by number; 0: none */
};

/* An acquire timeline of ours that the consumer knows. */
struct link_number {
	uint64_t id; /* 0: none yet */
	uint32_t incarnation;
	uint64_t used; /* the last frame with it */
};

struct link_producer {
	LIST_ENTRY(link_producer) links; /* of the exchange */
	struct fbk_link *link;
	struct fbk_exchange *exchange; /* NULL: none yet */
	uint64_t out, acked, held;     /* masks of buffers */
	uint64_t from;                 /* the first frame of this consumer */
	uint64_t seen;                 /* the consumer's lane when it was read */
	uint64_t passed;               /* the newest frame that was taken or came back */
	uint32_t pauses;               /* the consumer's, when a frame was handed or retracted */
	bool discont;                  /* frames are missing before the next */
	struct damage missed;          /* of frames that it never got */
	uint32_t depth;                /* frames offered and not taken; 0: any number */
	bool skips;                    /* at that depth */
	struct link_number numbers[1 + FBK_LANE_ACQUIRES];
	struct link_sent sent[FBK_BUFFERS_MAX];
	uint64_t watch;      /* of the consumer's lane, by number; 0: none */
	uint64_t held_watch; /* of the link's next change, the same */
};
