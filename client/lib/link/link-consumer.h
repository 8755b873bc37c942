// SPDX-License-Identifier: MIT
/*
 * A consumer's half of a link: the frames that are held, and the buffers that they are in. Made with the link by
 * role-consumer.c; used by frame*.c, link-next.c, link-find.c and link-watch.c. Under the link's lock.
 */
#pragma once

#include <bsd/sys/queue.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "fencebroker.h"
#include "frame-bounds.h"
#include "lane.h"
#include "proto/page.h"
#include "release-queue.h"

struct fbk_link;
struct fbk_frame;

/* A buffer as it came; shared by the link and by the frames in it: counted. */
struct link_buffer {
	_Atomic unsigned int refs;
	struct fbk_buffer_desc desc;
	struct frame_bounds bounds;
	uint64_t epoch; /* of the producer that it came from */
	uint32_t generation;
	bool imported; /* the program was asked, */
	int error;     /* and refused it with that */
};

/* A release timeline of one buffer: in memory, or brokered. */
struct release_line {
	struct fbk_timeline *timeline; /* NULL: none yet */
	uint32_t incarnation;
	uint32_t generation; /* of the buffer at its last use */
	uint64_t uses;       /* its last point */
	uint64_t watch;      /* of that, by number, while the link winds down; 0: none */
};

/* One whose last frame was abandoned: the program may still signal that point. */
struct retired_line {
	SLIST_ENTRY(retired_line) links;
	struct fbk_timeline *timeline;
	uint64_t value;
};

#define WATCHED_MAX 8 /* acquire points at a time, of the newest frames */

struct frame_watch {
	struct fbk_link *link;
	uint64_t watch;           /* by number */
	struct lane_point *point; /* that it watches, counted; NULL: none */
};

struct link_consumer {
	struct lane_wishes wishes;
	uint32_t held;
	uint64_t last;  /* no frame of this producer has a higher number */
	uint64_t shown; /* the last frame that the program got; 0: none from this producer */
	struct fbk_frame *frames[FBK_BUFFERS_MAX]; /* that are held; not counted */
	uint32_t generations[FBK_BUFFERS_MAX];     /* of their buffers */
	struct link_buffer *buffers[FBK_BUFFERS_MAX];
	fbk_buffer_fn *import_fn; /* fbk_link_import(); NULL: all are accepted */
	void *import_arg;
	pthread_mutex_t importing; /* held while that runs; it comes before the link's lock */
	struct release_line lines[FBK_BUFFERS_MAX][2]; /* in memory, brokered */
	SLIST_HEAD(, retired_line) retired;
	struct release_queue queue;
	struct fbk_set *set;  /* of these timelines; NULL: none yet */
	fbk_next_fn *next_fn; /* called when a frame is there; NULL: not wanted */
	void *next_arg;
	uint64_t next_number;                        /* of that call */
	uint64_t change_watch;                       /* by number */
	struct frame_watch watches[1 + WATCHED_MAX]; /* of the lane, and of acquire points */
};

void link_buffer_unref(struct link_buffer *buffer); /* takes NULL */
