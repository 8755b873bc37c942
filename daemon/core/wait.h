// SPDX-License-Identifier: MIT
/*
 * The record of a wait. Each noun that makes a client wait has one function that makes its record; blame and
 * `fencectl stuck` use nothing else. Passed by value, and points at nothing that a look may free. Loop's thread only.
 */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "arm.h"
#include "client.h"
#include "proto/page.h"

/* How it waits. A new value needs a name in wait.c, a function that makes the record, and a part in stuck.c. */
enum wait_way {
	WAIT_CELL, /* a cell of the pair page */
	WAIT_PAIR, /* a cell that the signaler wakes */
	WAIT_WATCH,
	WAIT_EXPORT,
	WAIT_PROMISE, /* an unknown waiter in the kernel */
	WAIT_IMPORT,  /* a brokered timeline, for the fence of its next point */
	WAIT_FRAME,   /* a producer, for the oldest frame that a consumer has */
};

struct wait {
	struct timeline *timeline; /* NULL: nothing waits */
	uint64_t value;
	enum wait_way way;
	const struct client *waiter; /* NULL: gone; a promise outlives it */
	uid_t uid;
	uint64_t since_ns;    /* as the waiter wrote it, within bounds */
	uint64_t deadline_ns; /* 0: not known */
};

const char *wait_way_name(enum wait_way way);

/* The record of an arm; of one that is not armed: nothing waits. */
struct wait wait_of_arm(const struct arm *arm, enum wait_way way, const struct client *waiter);

/* Take the begin and the deadline that the client wrote to its cell. The begin is bounded by `floor_ns`, the earliest
 * that the daemon knows to be possible, and by now. A waiter that gave up leaves its cell armed: where the deadline has
 * passed, nothing waits. */
void wait_take_times(struct wait *wait, const struct fbk_pair_cell *cell, uint64_t floor_ns);
