// SPDX-License-Identifier: MIT
/*
 * The display at the other end of a channel, as the encoder sees it: the display's buffers, -> a timeline
 * of the encoder, signalled when a buffer is drawn, <- a timeline of the display, signalled when a buffer is
 * off the screen. One thread at a time.
 */
#pragma once

#include "canvas.h"
#include "stage.h"

#define VIEWER_BUFFERS 3

struct viewer {
	struct channel channel;
	struct canvas buffers[VIEWER_BUFFERS];
	size_t size;        /* of each */
	unsigned int count; /* of mapped buffers */
	struct lane *shown; /* signalled here: frame n is in its buffer */
	struct lane *free;  /* the display's: frame n is off the screen */
};

/* Connect to the display at that address. `offer` describes the pictures. Errors as in stage.h. */
int viewer_meet(struct viewer *viewer, struct stage *stage, const char *path,
		const struct message *offer);
void viewer_finish(struct viewer *viewer); /* no effect if not connected (channel -1) */

/* The buffer of that frame. */
struct canvas viewer_canvas(const struct viewer *viewer, uint64_t frame);
