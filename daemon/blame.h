// SPDX-License-Identifier: MIT
/*
 * Who waits for what, and who is to blame when it does not come. One record for everything that waits; what
 * is said of it, to whomever, is made from that. A chain follows what the signaler itself waits for, from
 * timeline to timeline, to the one process that waits for nobody. Records are by value and point at nothing
 * that a look may free. Looks only; loop's thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct arm;
struct export;
struct fbk_pair_cell;
struct handle;
struct import;
struct client;
struct timeline;
struct watch;

/* What waits. A new kind needs its name in blame.c, what makes the record, and a part in stuck.c. */
enum blame_way {
	BLAME_WAIT,      /* a cell of the pair page */
	BLAME_PAIR_WAIT, /* a cell that the signaler wakes */
	BLAME_WATCH,
	BLAME_EXPORT,
	BLAME_PROMISE, /* whoever it is, in the kernel */
	BLAME_IMPORT,  /* a brokered timeline, for the fence of its next point */
	BLAME_FRAME,   /* a producer, for the oldest frame that a consumer has */
};

struct blame_wait {
	struct timeline *timeline; /* NULL: nothing waits */
	uint64_t value;
	enum blame_way way;
	const struct client *waiter; /* NULL: gone, which a promise outlives */
	uid_t uid;
	uint64_t since_ns;    /* as the waiter says, within reason */
	uint64_t deadline_ns; /* 0: not known */
};

/* The records, each made in one place. Nothing waits where nothing is armed, or where a client's wait
 * ended by its deadline. */
struct blame_wait blame_cell_wait(const struct handle *handle);
struct blame_wait blame_pair_wait(const struct handle *handle);
struct blame_wait blame_watch(const struct watch *watch);
struct blame_wait blame_export(const struct export *export); /* or a promise */
struct blame_wait
blame_import(const struct handle *handle); /* of the signaler of a brokered timeline */

struct blame_wait blame_frame(const struct handle *handle); /* of a producer's, of a link */

const char *blame_way_name(enum blame_way way);

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
void blame_log_expired(const struct blame_wait *wait);
