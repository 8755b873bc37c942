// SPDX-License-Identifier: MIT
/*
 * Watches: callbacks, with a result, in the next dispatch. A watch belongs to its context and goes when it is called
 * back, or cancelled. It keeps its timeline: one that is closed decides it with -ECANCELED. All under the context's
 * mutex.
 *
 * This is what a watch is and how it is decided; watch-cell.h and watch-arm.h wait for its point. What the program
 * has of one is a handle (handle.h).
 */
#pragma once

#include <bsd/sys/queue.h>
#include <bsd/sys/tree.h>
#include <stdbool.h>
#include <stdint.h>

#include "call.h"
#include "child.h"
#include "fencebroker.h"
#include "proto/heap.h"

TAILQ_HEAD(watch_queue, watch);

struct watch {
	struct child child; /* of the timeline, while that is open; one without a point has none */
	RB_ENTRY(watch) node; /* by number */
	TAILQ_ENTRY(watch) fired_links;
	struct fbk_point point;
	fbk_point_fn *fn;
	void *arg;
	const void *owner;      /* of the call; NULL: none */
	uint64_t number;        /* what the daemon calls it */
	struct heap_node armed; /* linked in the timeline's until it is decided */
	enum {
		WATCH_AT_DAEMON,
		WATCH_ON_CELL,  /* watch-cell.c */
		WATCH_TO_DAEMON /* by the dispatch that runs */
	} place;
	uint64_t deadline_ns;
	struct heap_node expiry;         /* linked in the context's while it is on a cell */
	TAILQ_ENTRY(watch) unsent_links; /* also of those that are parked */
	bool fired;                      /* on the context's fired list */
	bool parked;                     /* it waits for the end of flushing, not for a point */
	int result;
	char *detail; /* why the daemon refused it; or NULL */
};

RB_HEAD(watch_tree, watch);

/* All watches of a context; its child. */
struct watches {
	struct child child;
	struct fbk_context *context;
	struct watch_tree by_number;
	uint64_t last_number;
	struct watch_queue fired;
	struct watch_queue unsent; /* that the next dispatch arms at the daemon */
	bool collecting;           /* a dispatch does, which takes them off `fired` next */

	struct watch_queue flushed; /* that are parked */

	/* watch-cell.c */
	struct heap expiries; /* of watches on cells */
	int timer;            /* a timerfd for the first of them, when there was one */
	uint64_t timer_ns;    /* when it goes off */
};

struct watch *watch_alloc(const struct callback *callback); /* NULL: no memory */

int watches_create(struct fbk_context *context); /* with the context, before anything is watched */

/* The watch gets a number, and is the context's from then on; child of the timeline of its point. */
void watch_enlist(struct fbk_context *context, struct watch *watch);
struct watch *watch_find(struct fbk_context *context, uint64_t number);

/* Does it wait still? */
bool watch_armed(const struct watch *watch);

/* It is decided: called back in the next dispatch, after those of the same timeline that come before it. */
void watch_queue(struct fbk_context *context, struct watch *watch, int result);

/* The daemon refused it, or could not be asked: so is it decided. */
void watch_refuse(struct fbk_context *context, uint64_t number, int error, const char *detail);

/* Those on the cell of the timeline leave it: the next dispatch arms them at the daemon. */
void watches_leave_cell(struct fbk_timeline *timeline);

/* It waits for the end of flushing, until it is decided. */
void watch_park(struct fbk_context *context, struct watch *watch);

void watch_free(struct fbk_context *context, struct watch *watch);

/* The serial of a watch's requests, which is answered, if at all, by a refusal: this bit and its number. */
#define WATCH_SERIAL (UINT64_C(1) << 63)
