// SPDX-License-Identifier: MIT
/*
 * A timeline that is open here: one for each handle, opened once or several times. Child of its context, parent of what
 * waits on it or follows it. Signals and checks run on any thread without a lock: what they touch is constant or atomic.
 * The rest is under the context's mutex.
 *
 * The last close ends it at the daemon, and here for the program. Its memory stays, and its pages stay mapped, while
 * something keeps a point of it.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "child.h"
#include "context.h"
#include "crowd.h"
#include "fencebroker.h"
#include "page-map.h"
#include "proto/heap.h"
#include "proto/page.h"
#include "spin.h"

#define CACHE_LINE 64
#define PAIRS_MAX  8

struct mirrors;
struct nap;
struct signal_pairs;

struct fbk_timeline {
	/* What signals and checks touch: one cache line, the next only with more than two cells. */
	_Alignas(CACHE_LINE) const bool *ours; /* the context's */
	_Atomic uint64_t *payload;             /* or the shadow in the control page */
	struct fbk_control_slot *control;
	_Atomic uint64_t
		last; /* signalled here: what the next signal expects to find; brokered: what was given last */
	uint32_t handle;
	uint32_t flags;
	bool writes;           /* signalled here, in memory, 64 bits at once */
	bool narrow;           /* a payload of 32 bits: narrow.c */
	_Atomic bool mirrored; /* some mirrors are signalled by this process; never false again */
	bool joining;          /* a cell was asked for; under the mutex */
	_Atomic uint32_t cell_count;                      /* of `cells`, as far as any was used */
	_Atomic(struct fbk_pair_cell *) cells[PAIRS_MAX]; /* that signals look at: pair-signal.h */

	enum fbk_visibility visibility; /* of its device */
	bool shadow;                /* the payload is not mapped: read what the daemon saw of it */
	struct signal_pairs *pairs; /* pair-signal.c; set before the first cell is shown */
	struct fbk_context *context;

	/* As a waiter: its cell in the daemon's pair page, one in a peer page (pair-wait.c; set once), and
	 * how often a wait slept without that. */
	struct fbk_pair_cell *cell;
	_Atomic(struct fbk_pair_cell *) peer;
	struct page_map *peer_map;
	struct spin spin;
	_Atomic uint32_t daemon_sleeps;
	struct crowd crowds[2]; /* on `cell`, on `peer` */

	struct mirrors *mirrors; /* mirror.c; set before `mirrored` */
	uint32_t rights;         /* grows under the mutex */
	struct child child;
	struct child_list children;
	unsigned int follows; /* mirrors from syncobjs; under the mutex */
	unsigned int opens;   /* by the program, and by its links */
	unsigned int
		refs; /* to its memory: one while it is open, and one of each that keeps a point */
	uint64_t id;
	char name[FBK_NAME_SIZE];
	char device[FBK_NAME_SIZE]; /* that signals it, and its process */
	pid_t pid;
	char *reason; /* why it failed, in the daemon's words; NULL: it was not asked. Under the mutex */
	struct page_map *control_map, *payload_map;

	/* Under the mutex: watch.c, watch-cell.c. */
	struct heap watches;       /* that are armed, by point */
	unsigned int cell_watches; /* of these, on `peer` ... */
	struct nap *nap;           /* ... which is slept on for them */
};

_Static_assert(offsetof(struct fbk_timeline, cells[2]) == CACHE_LINE, "the hot path's cache line");

/* Its memory: under the mutex. Both take NULL. */
void timeline_ref(struct fbk_timeline *timeline);
void timeline_unref(struct fbk_timeline *timeline);

/* Open the one that is open by that handle once more, if it is still that one; or NULL. Not under the mutex. */
struct fbk_timeline *timeline_get(struct fbk_context *context, uint32_t handle, uint64_t id);

/* The daemon may have it open by that handle, and this process has not; or it has closed it. */
void timeline_forget(struct fbk_context *context, uint32_t handle);

/* The timeline that a reply describes: its pages are the first fds. `opening` has been held since before the request. */
struct reply;
struct Fbk__Wire__Timeline;
int timeline_adopt(struct fbk_context *context, const struct Fbk__Wire__Timeline *body,
		   struct reply *reply, struct fbk_timeline **ret_timeline);
