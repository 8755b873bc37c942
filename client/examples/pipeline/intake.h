// SPDX-License-Identifier: MIT
/*
 * Pictures of the process before this one, as they come over a link: one at a time is in hand, may be
 * read once it was waited for, and goes back in order. One thread at a time.
 */
#pragma once

#include "picture.h"
#include "stage.h"

struct intake_map {
	uint8_t *memory;
	size_t size;
	bool dmabuf; /* to be told when the CPU reads */
};

struct intake {
	struct stage *stage;
	struct channel channel;
	struct fbk_link *link;
	struct message offer; /* what will come */
	struct board done;    /* when each was signalled */
	struct board board;   /* when each was given back: ours to write */
	struct handover *handover;
	char name[FBK_NAME_SIZE]; /* of the producer */
	char what[FBK_NAME_SIZE];
	enum stage_way way; /* to wait for a frame */
	struct intake_map maps[FBK_BUFFERS_MAX];

	struct fbk_frame *frame; /* in hand; NULL: none */
	uint64_t number;         /* its number: that of the point to wait for */
	struct lane acquire;     /* borrowed from it */
	struct intake_map *map;
	struct picture picture;
};

/* Meet who connects where the options say. All functions here return 0 or what stage_stop() has seen. */
int intake_open(struct intake *intake, struct stage *stage, struct handover *handover);
void intake_finish(struct intake *intake); /* of one that met nobody (channel -1): nothing */

/* The next one is in hand: its picture, which is not to be read yet. */
int intake_next(struct intake *intake);
int intake_wait(struct intake *intake);

/* Its number is as it must be: in the picture, where it is stamped, else above the one before. */
int intake_check(struct intake *intake, const char *when);

/* Not read any more; or once that point is reached. */
int intake_release(struct intake *intake);
int intake_release_at(struct intake *intake, struct fbk_point point);

/* The producer has all of them back and left: who leaves before gives nothing back. */
int intake_end(struct intake *intake);
