// SPDX-License-Identifier: MIT
/*
 * A consumer's half of a link: the frames that are here, and the buffers that they are in. Made with the link by
 * role-consumer.c; used by frame.c, link-next.c and link-watch.c. Under the link's lock.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "fencebroker.h"
#include "lane.h"
#include "proto/page.h"

struct fbk_link;

/* A frame in the consumer's hands, or on its way back behind one that is. */
struct fbk_frame {
	struct fbk_link *link;
	uint64_t sequence; /* 0: not in use */
	uint32_t index;
	struct fbk_point acquire;
	int acquire_fd;         /* -1: none yet */
	bool held;              /* by the program */
	struct lane_entry back; /* once it is not */
};

struct link_buffer {
	struct fbk_buffer_desc desc; /* fd -1: not there */
	uint64_t epoch;              /* of the producer that it came from */
	uint32_t generation;
};

struct link_consumer {
	uint64_t oldest; /* frame that was not given back */
	struct link_buffer buffers[FBK_BUFFERS_MAX];
	struct fbk_frame frames[FBK_RING_SIZE];
	struct fbk_timeline *fences; /* whose points follow kernel fences; NULL: none yet */
	fbk_next_fn *next_fn;        /* called when a frame is there; NULL: not wanted */
	void *next_arg;
	struct fbk_watch *frame_watch, *change_watch; /* of the next ones */
};

static inline struct fbk_frame *frame_at(struct link_consumer *half, uint64_t sequence)
{
	return &half->frames[sequence % FBK_RING_SIZE];
}
