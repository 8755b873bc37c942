// SPDX-License-Identifier: MIT
/*
 * A consumer: its link, and the frames that it has. exchange-consumer.c asks for frames, pauses, stops and leaves;
 * exchange-frame.c waits for a frame, reads it, and gives it back. One thread, but for the one that dispatches.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "exchange-actor.h"
#include "exchange-record.h"

#define PENDING_MOST 8 /* released, at points that are not reached yet */
#define READY_MS     10000

struct consumer_state;
struct map;

/* How a kind of device waits until a frame is readable: 0, or an error. */
typedef int ready_fn(struct consumer_state *state, struct fbk_frame *frame,
		     struct fbk_point acquire, uint64_t deadline_ns);

struct consumer_kind {
	uint32_t waits;
	ready_fn *ready;
};

/* A frame that it reads. */
struct item {
	struct fbk_frame *frame; /* NULL: it is released, at `point` or when `fence` is written */
	struct fbk_point point;
	int fence; /* -1: none */
	struct record *record;
	struct map *map; /* counted */
	uint64_t keep;   /* until then */
};

struct consumer_state {
	struct exchange_actor actor;
	struct fbk_device *device;
	const struct consumer_kind *kind;
	uint32_t hold; /* frames at once; of the link */
	struct fbk_link *link;
	uint64_t word; /* of the offer */
	int offer;     /* -1: none */
	struct map *maps[FBK_BUFFERS_MAX];
	struct item items[HELD_MOST + 1 + PENDING_MOST]; /* + 1: that its producer abandoned */
	unsigned int item_count, held;                   /* held: those that are not released */
	bool paused, stopped;
	bool loops;   /* its own dispatch reports frames */
	bool told;    /* a frame, or the end of the link */
	bool listens; /* another thread dispatches the link's phases, and sees its end first */
	pthread_mutex_t dispatching;
	_Atomic bool quiet;
};

extern const struct consumer_kind consumer_kinds[];
extern const size_t consumer_kind_count;

struct record *consumer_record(struct consumer_state *state); /* about its link; begins now */

/* As its producer counts. */
uint64_t frame_number(const struct fbk_frame *frame);

/* Reads a frame that came once it is readable, and keeps it; takes the reference. 0, or what the wait said. */
int item_add(struct consumer_state *state, struct fbk_frame *frame);

/* Releases any of those that are not kept, in any manner: at once, or at a point or fence that item_finish() reaches
 * later. False: there is none. */
bool item_release_any(struct consumer_state *state);

/* Reaches the point of any that is released. False: there is none. */
bool item_finish_any(struct consumer_state *state);

/* Lets go of all, for the link is about to be closed; and after that. */
void items_let_go(struct consumer_state *state);
void items_forget(struct consumer_state *state);
