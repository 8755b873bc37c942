// SPDX-License-Identifier: MIT
/*
 * What changed in a picture since an earlier one. A consumer that passes frames over gets their damage with the next one:
 * the producer adds what it took back (link_producer.missed) to the next frame that it hands over; the consumer adds what
 * it passed over itself, where the lane still says it.
 */
#pragma once

#include "proto/lane.h"

struct damage {
	bool all;       /* everything may have changed */
	uint32_t count; /* else these; 0: nothing did */
	struct lane_rectangle rectangles[FBK_DAMAGE_MAX];
};

/* And what a frame says of itself. More rectangles than a frame can have become the one around them. */
void damage_add(struct damage *damage, const struct lane_frame *frame);

/* What a frame says from now on; `damage` is not empty. */
void damage_write(const struct damage *damage, struct lane_frame *frame);

/* With `frame`, which was taken, the damage of the frames behind `shown`, the last one that the program saw; 0: it saw
 * none. */
void damage_gather(const struct lane_page *page, uint64_t shown, struct lane_frame *frame);
