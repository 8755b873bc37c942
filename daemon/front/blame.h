// SPDX-License-Identifier: MIT
/*
 * Who is to blame when a point does not come. A chain follows what the signaler itself waits for, from timeline to
 * timeline, to the one process that waits for nobody; everything that is said of it is made from the records of
 * wait.h. Looks only; loop's thread.
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
	BLAME_HANGS,
	BLAME_DEAD,
	BLAME_SILENT, /* waits for nobody here, and has not delivered */
	BLAME_FENCE,  /* follows a kernel fence that has not signalled */
	BLAME_CYCLE,
	BLAME_DEEP, /* goes on */
};

struct blame_step {
	struct timeline *timeline;
	uint64_t value;
};

struct blame_chain {
	size_t count;
	struct blame_step steps[BLAME_DEPTH];
	size_t cycle; /* the first step that is in it, for BLAME_CYCLE */
	enum blame_end end;
};

/* Looks at each timeline on the way: nobody is blamed for what is done. `waiter` may be NULL. */
void blame_follow(struct timeline *timeline, uint64_t value, const struct client *waiter,
		  struct blame_chain *ret_chain);

const char *blame_end_name(enum blame_end end);

/* The likely cause, in a sentence of its own. */
void blame_sentence(const struct blame_chain *chain, char *ret_text, size_t size);

/* The whole chain. */
void blame_describe(struct timeline *timeline, uint64_t value, char *ret_text, size_t size);

/* Its deadline passed: a line in the log, unless it was that short that its client is polling. */
void blame_log_expired(const struct wait *wait);

/* For the registry. */
extern const struct blame_ops blame_ops;
