// SPDX-License-Identifier: MIT
/*
 * What a call of a link sleeps on, with references to the timelines, since they may be replaced meanwhile. Filled in
 * under the link's lock; waited for without it. On the stack of one thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "fencebroker.h"

struct fbk_link;
struct lane_point;

/* A consumer's: its lane's next frame, the link's change, a frame for each buffer. A producer's: as much for each link,
 * and its own acquire points. */
#define AWAITED_MAX (FBK_CONSUMERS_MAX * (FBK_BUFFERS_MAX + 2) + FBK_BUFFERS_MAX)

struct awaited {
	size_t count;
	struct fbk_point points[AWAITED_MAX];
	struct awaited_ref {
		const struct fbk_link *link; /* of `point` */
		struct lane_point *point;    /* NULL: see the next, or a timeline that stays */
		struct fbk_timeline *timeline;
	} refs[AWAITED_MAX];
};

static inline void awaited_init(struct awaited *awaited)
{
	awaited->count = 0; /* the arrays are long */
}

void awaited_add(struct awaited *awaited, struct fbk_point point); /* its timeline stays open */
void awaited_add_lane(struct awaited *awaited, const struct fbk_link *link,
		      struct lane_point *point, uint64_t value);
void awaited_add_owned(struct awaited *awaited, struct fbk_point point); /* takes the reference */

/* Wait for any, and drop the references. 0, or what the wait itself came to: -ETIMEDOUT, -ECANCELED,
 * -EBADF or -ENOTCONN; what the points came to, who asks looks for himself, but not when flushing: what he would ask the
 * daemon may be what he waits for. */
int awaited_wait(struct awaited *awaited, const struct fbk_context *context, uint64_t deadline_ns);
void awaited_drop(struct awaited *awaited);
