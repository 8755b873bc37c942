// SPDX-License-Identifier: MIT
/*
 * The pair path: a waiter's cell that the signaler looks at by itself, so that neither asks the
 * daemon for anything while they go on. A waiter asks for a cell; the daemon puts it into a page
 * that the two of them share (a peer page), on the timeline's list, and raises the generation that
 * the signaler sees. What does not get one waits through the daemon, as everybody can.
 * A pair belongs to the handle that waits; a peer, the page, to the waiter's client, which is
 * charged for it, until its last cell is gone. Loop's thread only.
 */
#pragma once

#include <bsd/sys/queue.h>
#include <stdint.h>

#include "handle.h"
#include "page.h"

/* A signaler looks at no more cells than this with each signal. They are shared out between users:
 * who comes late takes one from the user that has most. */
#define TIMELINE_PAIRS_MAX 8

struct peer {
	LIST_ENTRY(peer) links; /* of the waiter's client */
	uint64_t signaler_id;   /* of its client, which may be gone */
	struct page *page;
	uint32_t cells; /* in use */
};

struct pair {
	LIST_ENTRY(pair) links; /* of the timeline, while listed */
	struct handle *handle;
	struct peer *peer;
	uint32_t cell;
	bool listed; /* else another user has its place */
};

/*
 * Give the handle a cell, or the one that it has already its place on the list. `detail` says why not:
 *   -EINVAL     a brokered timeline, or one of a silent device: nobody would wake but the daemon
 *   -ENOSPC     the signaler looks at enough of them already
 *   or the error that the timeline failed with, or a limit of the user
 */
int pair_join(struct handle *handle, char *detail);

struct fbk_pair_cell *pair_cell(const struct pair *pair);

/* What waits through its cell: nobody arms anything here, the cell tells, as far as its owner can be believed. */
struct wait pair_wait(const struct handle *handle);

extern const struct observer pair_observer;
