// SPDX-License-Identifier: MIT
/*
 * Who is to blame when a point does not come. A chain goes from the point to the wait of its signaler, from there to
 * the signaler of that, and so on, up to a process that waits for no other. It is made from the records of wait.h
 * alone. Looks at timelines and changes nothing else; loop's thread only.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/core/wait.h"

#define BLAME_DEPTH 8

/* How a chain ends. */
enum blame_end {
	BLAME_REACHED,
	BLAME_FAILED,
	BLAME_STOPPED,
	BLAME_FROZEN,
	BLAME_HANGS,
	BLAME_DEAD,
	BLAME_LEFT,   /* its client has ended; what that gave the kernel decides the point */
	BLAME_LATE,   /* moves no frames on a link, for much longer than its pace */
	BLAME_FRAME,  /* waits for the next frame of another, which may owe none */
	BLAME_SILENT, /* waits for no process here, and has not signalled */
	BLAME_HIDDEN, /* the same of one whose state can't be seen */
	BLAME_BUSY,   /* has not signalled; it waits for more than was looked at */
	BLAME_FENCE,  /* follows a kernel fence that has not signalled */
	BLAME_CYCLE,
	BLAME_DEEP, /* longer than BLAME_DEPTH */
};

struct blame_step {
	struct timeline *timeline;
	uint64_t value;
	bool follows; /* the next step, without its process's doing: an import of a fence that the daemon made */
};

struct blame_chain {
	size_t count;
	struct blame_step steps[BLAME_DEPTH];
	size_t cycle; /* BLAME_CYCLE: its first step */
	enum blame_end end;
	const struct timeline *frames; /* BLAME_FRAME: the lane of the other */
	bool owed; /* on a link that is late, or by a process that can't signal */
};

/* Looks at each timeline on the way, so that no process is blamed for a point that is reached. `waiter` may be NULL. */
void blame_follow(struct timeline *timeline, uint64_t value, const struct client *waiter,
		  struct blame_chain *ret_chain);

const char *blame_end_name(enum blame_end end);

/* The likely cause, as a sentence. */
void blame_sentence(const struct blame_chain *chain, char *ret_text, size_t size);

/* The whole chain, in words. */
void blame_describe(struct timeline *timeline, uint64_t value, char *ret_text, size_t size);

/* Does it wait for the next frame on a lane? */
bool blame_is_for_frame(const struct wait *wait);

/* Was the timeout so short that the client is polling? */
bool blame_polls(const struct wait *wait);

/* The wait's deadline passed: log the chain. */
void blame_log_expired(const struct wait *wait);

/* It passed, and the wait goes on. */
void blame_log_late(const struct wait *wait);
