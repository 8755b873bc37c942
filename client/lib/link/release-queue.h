// SPDX-License-Identifier: MIT
/*
 * Frames that a consumer released on a kernel fence. The fence goes to the daemon first, then the table says that the
 * frame is back: whoever sees the return finds its point followed, also if this process dies between. A return waits here
 * while its fence waits in the outbox; who sends that writes the return.
 *
 * Under the link's lock; and under its own, a leaf but for what a signal locks, since who sends has not the link's.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "fencebroker.h"
#include "proto/lane.h"

struct fbk_link;
struct fbk_timeline;
struct queued_release;

struct release_queue {
	struct fbk_link *link; /* that it is of */
	pthread_mutex_t lock;
	struct queued_release *queued[FBK_BUFFERS_MAX]; /* by the index of the buffer */
	bool wanted;                                    /* the link ends once it is empty */
	uint64_t watch; /* by number: it does so in a dispatch; 0: none */
};

void release_queue_init(struct release_queue *queue, struct fbk_link *link);
void release_queue_finish(struct release_queue *queue);

/* `back` is a return of FBK_RELEASE_BROKERED, by its point of that timeline. Takes the fence, also when it fails. */
int release_send(struct release_queue *queue, struct fbk_timeline *timeline,
		 const struct lane_return *back, int fence);

/* Their producer is gone, or has given up that buffer: the returns are not written. */
void release_drop_all(struct release_queue *queue);
void release_drop(struct release_queue *queue, uint32_t index);

bool release_is_queued(struct release_queue *queue, uint32_t index);

/* Of a link that was stopped: are there any? Then the last one winds it down. */
bool releases_wait(struct release_queue *queue);
