// SPDX-License-Identifier: MIT
/* Frames: objects that the program counts. A frame is held until it is released, or its producer is gone. */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>

#include "link-consumer.h"

struct fbk_frame {
	_Atomic unsigned int refs;
	struct fbk_link *link; /* counted */
	uint64_t sequence;
	uint32_t index;
	uint32_t generation;
	struct lane_point *point; /* counted: of `acquire` */
	struct fbk_point acquire;
	int error;      /* why it can't be used, whatever its acquire point comes to; 0: it can */
	int acquire_fd; /* -1: none yet; under the link's lock, as the next */
	bool gone;      /* since its producer closed that timeline */
	bool held;      /* by the program */
	struct link_buffer *buffer; /* counted */
	struct fbk_frame_meta meta;
};

/* One that was found on the lane: takes its acquire point. NULL: no memory. */
struct fbk_frame *frame_create(struct fbk_link *link, const struct lane_frame *from,
			       struct lane_point *point, uint64_t value);
void frame_free(struct fbk_frame *frame); /* not held; not under the link's lock */

/* Under the lock: it is held from now on. */
void frame_hold(struct fbk_frame *frame);

/* Its producer gave it up. Under the lock, of one that was taken. */
bool frame_abandoned(const struct fbk_frame *frame);

/* Those that their producer abandoned are not held any more. */
void frames_forget_abandoned(struct fbk_link *link);

/* None is held any more: their producer is gone, or the context. */
void frames_lose(struct fbk_link *link);
