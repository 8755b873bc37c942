// SPDX-License-Identifier: MIT
/*
 * Goes through everything that waits, a bounded number at a time, from the newest client to the oldest and
 * then the promises whose asker is gone. A place is where to go on: it names no memory, so that anything may
 * come and go in between; what stays is passed once. Looks at no payload and changes nothing. Loop's thread
 * only.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/core/wait.h"

/* The parts of a client, in the order in which they are gone through. A new kind of waiter gets its own. */
enum stuck_part {
	STUCK_HANDLES,  /* `wait`: the next handle's number */
	STUCK_WATCHES,  /* the next watch's number */
	STUCK_EXPORTS,  /* armed before then; 0: all */
	STUCK_PROMISES, /* the same */
	STUCK_PARTS,
};

struct stuck_place {
	uint64_t client; /* the client's id; 0: from the start */
	uint64_t part;
	uint64_t wait;
};

#define STUCK_ORPHANS UINT64_MAX /* in place of a client: promises of those who are gone */

/* Things looked at in one go, at most. */
#define STUCK_WORK_MAX 1024
/* A handle has up to four waits. */
#define STUCK_FOUND_MIN 4

/*
 * Fills in up to `size` (at least STUCK_FOUND_MIN) of what waits since before `before_ns`, or whose deadline is
 * past, and that `client` may see; moves `place` on. False: there is no more.
 */
bool stuck_find(const struct client *client, struct stuck_place *place, uint64_t before_ns,
		struct wait *ret_waits, size_t size, size_t *ret_count);
