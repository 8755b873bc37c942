// SPDX-License-Identifier: MIT
/*
 * The display at the other end of a channel, as the encoder has it: buffers that belong to the
 * display, a timeline of the encoder's that says when one is drawn, and one of the display's that
 * says when one is not on screen any more. One thread at a time.
 */
#pragma once

#include "canvas.h"
#include "stage.h"

#define VIEWER_BUFFERS 3

struct viewer {
	struct channel channel;
	struct canvas buffers[VIEWER_BUFFERS];
	size_t size;        /* of each */
	unsigned int count; /* of those that are mapped */
	struct lane *shown; /* ours: frame n is in its buffer */
	struct lane *free;  /* the display's: frame n is not on screen any more */
};

/* Meet the display that listens there. `offer` says which pictures will come. Errors as stage's. */
int viewer_meet(struct viewer *viewer, struct stage *stage, const char *path,
		const struct message *offer);
void viewer_finish(struct viewer *viewer); /* of one that met nobody (channel -1): nothing */

/* The buffer of that frame. */
struct canvas viewer_canvas(const struct viewer *viewer, uint64_t frame);
