// SPDX-License-Identifier: MIT
/*
 * Goes through all waits, a bounded number at a time: clients from the newest to the oldest, then the promises whose
 * asker is gone. A place says where to go on. It is made of numbers, not pointers, so waits may come and go between
 * calls; a wait that stays is passed once. Looks at no payload and changes nothing. Loop's thread only.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/core/wait.h"

/* The parts of a client, in their order. A new kind of wait gets a part of its own. */
enum stuck_part {
	STUCK_HANDLES,  /* `wait` of the place: the next handle's number */
	STUCK_WATCHES,  /* the next watch's number */
	STUCK_EXPORTS,  /* a time: goes on with those armed before it; 0: all */
	STUCK_PROMISES, /* the same */
	STUCK_PARTS,
};

struct stuck_place {
	uint64_t client; /* the client's id; 0: from the start */
	uint64_t part;
	uint64_t wait;
};

#define STUCK_ORPHANS UINT64_MAX /* instead of a client: promises whose asker is gone */

/* One call looks at this many objects at most. */
#define STUCK_WORK_MAX 1024
/* A handle has up to four waits. */
#define STUCK_FOUND_MIN 4

/*
 * Fills in up to `size` (STUCK_FOUND_MIN or more) waits that `client` may see and that began before `before_ns` or are
 * past their deadline; moves `place` on. False: there are no more.
 */
bool stuck_find(const struct client *client, struct stuck_place *place, uint64_t before_ns,
		struct wait *ret_waits, size_t size, size_t *ret_count);
