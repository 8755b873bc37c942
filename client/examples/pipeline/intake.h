// SPDX-License-Identifier: MIT
/*
 * Frames of the producer, as they come over a link. This process works on one at a time and releases it
 * in one of three ways. One thread at a time.
 */
#pragma once

#include "note.h"
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
	int offer_fd;         /* until intake_open(); then -1 */
	struct message offer; /* describes the frames */
	struct board done;    /* when each was finished */
	struct board board;   /* when each was released; written here */
	struct handover *handover;
	char name[FBK_NAME_SIZE]; /* of the producer */
	char what[FBK_NAME_SIZE];
	enum fbk_route route; /* to wait for a frame */
	struct intake_map maps[FBK_BUFFERS_MAX];

	struct fbk_frame *frame;           /* the current one; NULL: none */
	const struct fbk_frame_meta *meta; /* of it */
	struct note note;
	uint64_t began; /* when this stage first waited for it */
	struct intake_map *map;
	struct picture picture;
	bool last; /* nothing comes after it */
};

/* Accept the producer's connection. Then, perhaps, talk to it; then accept its link, and hold up to `hold`
 * frames. All functions here return 0 or the error given to stage_stop(). */
int intake_meet(struct intake *intake, struct stage *stage);
int intake_open(struct intake *intake, uint32_t hold, struct handover *handover);
void intake_finish(struct intake *intake); /* no effect if not connected (channel -1) */

/* Take the next frame. It must not be read before intake_wait(). */
int intake_next(struct intake *intake);
int intake_map(struct intake *intake); /* its memory ... */
int intake_picture(
	struct intake *intake); /* ... or a picture there, with the stamp that it should have */
int intake_wait(struct intake *intake);

/* The same wait, by other means. */
int intake_wait_with(struct intake *intake, stage_wait_fn *wait, void *arg);

/* Check the number in the picture, if it is stamped. */
int intake_check(struct intake *intake, const char *when);

/* Release it now; or when that fence signals, which it takes; or leave that to the caller, who gets it. */
int intake_release(struct intake *intake);
int intake_release_on(struct intake *intake, int fence_fd);
struct fbk_frame *intake_keep(struct intake *intake);

/* After the last frame: stay until the producer has all of them back. */
int intake_end(struct intake *intake);
