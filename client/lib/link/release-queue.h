// SPDX-License-Identifier: MIT
/*
 * Frames that a consumer released on a kernel fence. The fence goes to the daemon first, then the table says that the
 * frame is back: whoever sees the return finds its point followed, also if this process dies between. What the socket
 * has no room for waits here, with its return; nothing waits for the daemon. Under the link's lock.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proto/lane.h"

struct fbk_link;

#define RELEASES_MAX 64 /* one for each buffer, since the producer has none of them back */

struct release_queue {
	struct fbk_link *link; /* that it is of */
	struct queued_release {
		struct lane_return back;
		uint32_t handle; /* of its brokered timeline */
		int fence;
	} entries[RELEASES_MAX];
	uint32_t first, count;
	uint64_t indices; /* mask of their buffers */
	uint64_t watch;   /* for room on the socket, by number; 0: none */
};

/* `back` is a return of FBK_RELEASE_BROKERED. Takes the fence, also when it fails: -EAGAIN: the queue is full. */
int release_send(struct release_queue *queue, uint32_t handle, const struct lane_return *back,
		 int fence);

/* Send what there is room for now; before anything else that the consumer does. */
void release_flush(struct release_queue *queue);

/* The same, at the end of the link: waits for room. */
void release_flush_all(struct release_queue *queue);

/* Their producer is gone, or has given up that buffer. */
void release_drop_all(struct release_queue *queue);
void release_drop(struct release_queue *queue, uint32_t index);

static inline bool release_is_queued(const struct release_queue *queue, uint32_t index)
{
	return queue->indices >> index & 1;
}
