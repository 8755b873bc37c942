// SPDX-License-Identifier: MIT
/*
 * The pair path: the signaler looks at the waiter's cell directly, so that neither needs the daemon while
 * they run. A waiter asks for a cell. The daemon takes one in a page that the two share (a peer page), puts
 * it on the timeline's list, and raises the generation that the signaler sees. A waiter without such a cell
 * waits through the daemon. A pair is owned by the handle that waits. A peer, with its page, is owned by the
 * waiter's client, which is charged for it, until its last cell is gone. Loop's thread only.
 */
#pragma once

#include <bsd/sys/queue.h>
#include <stdint.h>

#include "handle.h"
#include "page.h"

/* A signaler looks at this many cells at most with each signal. Users share them: a user that comes
 * late takes one from the user that has most. */
#define TIMELINE_PAIRS_MAX 8

struct peer {
	LIST_ENTRY(peer) links; /* of the waiter's client */
	uint64_t signaler_id;   /* of the signaler's client, which may be gone */
	struct page *page;
	uint32_t cells; /* in use */
};

struct pair {
	LIST_ENTRY(pair) links; /* of the timeline, while listed */
	struct handle *handle;
	struct peer *peer;
	uint32_t cell;
	bool listed; /* false: another user took its place */
};

/*
 * Give the handle a cell on the timeline's list; a handle that has a cell keeps it. On an error `detail` says why:
 *   -EINVAL     a brokered timeline, or one of a silent device: only the daemon can wake its waiters
 *   -ENOSPC     the list of the signaler is full
 *   or the error that the timeline failed with, or a limit of the user
 */
int pair_join(struct handle *handle, char *detail);

struct fbk_pair_cell *pair_cell(const struct pair *pair);

/* The wait through the pair cell. The daemon has no arm for it: the record is what the waiter wrote to the cell, within
 * reason. */
struct wait pair_wait(const struct handle *handle);

extern const struct observer pair_observer;
