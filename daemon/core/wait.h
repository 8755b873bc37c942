// SPDX-License-Identifier: MIT
/*
 * The record of something that waits. Each noun that makes somebody wait makes its record, in one function; blame
 * and `fencectl stuck` work with nothing else. By value, and it points at nothing that a look may free.
 * Loop's thread only.
 */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "arm.h"
#include "client.h"
#include "proto/page.h"

/* What waits. A new kind needs its name in wait.c, the function that makes the record, and a part in stuck.c. */
enum wait_way {
	WAIT_CELL, /* a cell of the pair page */
	WAIT_PAIR, /* a cell that the signaler wakes */
	WAIT_WATCH,
	WAIT_EXPORT,
	WAIT_PROMISE, /* whoever it is, in the kernel */
	WAIT_IMPORT,  /* a brokered timeline, for the fence of its next point */
	WAIT_FRAME,   /* a producer, for the oldest frame that a consumer has */
};

struct wait {
	struct timeline *timeline; /* NULL: nothing waits */
	uint64_t value;
	enum wait_way way;
	const struct client *waiter; /* NULL: gone, which a promise outlives */
	uid_t uid;
	uint64_t since_ns;    /* as the waiter says, within reason */
	uint64_t deadline_ns; /* 0: not known */
};

const char *wait_way_name(enum wait_way way);

/* Of an arm that is armed; else nothing waits. */
struct wait wait_of_arm(const struct arm *arm, enum wait_way way, const struct client *waiter);

/* Since when and until when a client says that it waits on its own cell, as far as it can be true: `floor_ns` is
 * what the daemon knows of the beginning. A waiter that gave up leaves its cell armed: then nothing waits. */
void wait_take_times(struct wait *wait, const struct fbk_pair_cell *cell, uint64_t floor_ns);
