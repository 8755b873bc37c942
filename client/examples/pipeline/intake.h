// SPDX-License-Identifier: MIT
/*
 * Pictures of the producer, as they come over a link. This process holds one at a time, reads it after
 * the wait, and releases them in order. One thread at a time.
 */
#pragma once

#include "picture.h"
#include "stage.h"

struct intake_map {
	uint8_t *memory;
	size_t size;
	bool dmabuf; /* needs DMA_BUF_IOCTL_SYNC around reads */
};

struct intake {
	struct stage *stage;
	struct channel channel;
	struct fbk_link *link;
	struct message offer; /* describes the pictures */
	struct board done;    /* when each was signalled */
	struct board board;   /* when each was released; written here */
	struct handover *handover;
	char name[FBK_NAME_SIZE]; /* of the producer */
	char what[FBK_NAME_SIZE];
	enum stage_way way; /* to wait for a frame */
	struct intake_map maps[FBK_BUFFERS_MAX];

	struct fbk_frame *frame; /* the held one; NULL: none */
	uint64_t number;         /* its number, and that of its acquire point */
	struct lane acquire;     /* borrowed from the frame */
	struct intake_map *map;
	struct picture picture;
};

/* Accept the producer's connection. All functions here return 0 or the error given to stage_stop(). */
int intake_open(struct intake *intake, struct stage *stage, struct handover *handover);
void intake_finish(struct intake *intake); /* no effect if not connected (channel -1) */

/* Take the next frame: its picture must not be read yet. */
int intake_next(struct intake *intake);
int intake_wait(struct intake *intake);

/* Check its number: in the picture if it is stamped, else above the number before. */
int intake_check(struct intake *intake, const char *when);

/* Release it now, or once that point is reached. */
int intake_release(struct intake *intake);
int intake_release_at(struct intake *intake, struct fbk_point point);

/* Wait until the producer has all frames back and leaves: leaving earlier would release nothing. */
int intake_end(struct intake *intake);
