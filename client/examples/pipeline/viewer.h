// SPDX-License-Identifier: MIT
/*
 * The display as the encoder sees it: a consumer that makes the buffers, since a display shows only its own.
 * Frame n is readable at point n of `shown`, which follows fences of the encoder. One thread at a time.
 */
#pragma once

#include "canvas.h"
#include "outlet.h"

#define VIEWER_BUFFERS 3 /* one is on screen, one comes next, one is drawn */

struct viewer {
	struct outlet outlet;
	struct canvas buffers[VIEWER_BUFFERS];
	size_t size;        /* of each */
	uint32_t count;     /* of mapped buffers */
	struct lane *shown; /* signalled here */
};

/* Connect to the display that the options name. `offer` describes the pictures. Errors as in stage.h. */
int viewer_meet(struct viewer *viewer, struct stage *stage, const struct message *offer,
		struct handover *handover);
void viewer_finish(struct viewer *viewer); /* takes a zeroed one */

/* Hand over a buffer that gets that frame, once the fence signals, which it takes; gives the buffer. `meta`
 * is the picture's. */
int viewer_hand(struct viewer *viewer, uint64_t frame, int fence_fd,
		const struct fbk_frame_meta *meta, struct canvas *ret_canvas);
