// SPDX-License-Identifier: MIT
/*
 * A client process of the stress run: it signals timelines of its own, and waits for those of other
 * processes in every way that the library has. It writes down what it does (record.h) and judges
 * nothing; it fails only at what is neither success nor an expected error. Its threads: signalers,
 * waiters, and the main thread, which takes tokens from the driver and runs the loop for watches
 * and exports.
 *
 * The threads use EXPECT(), never ck_assert(): libcheck writes each success to a file under a lock
 * that all processes share, and a process that loses the CPU while it holds the lock stops all
 * others.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "dice.h"
#include "journal.h"
#include "run.h"
#include "tests/integration/lib-peer.h"

#define ACTORS       8
#define LINES        3 /* timelines of an actor, at most: one of all its signalers, and one of each */
#define LONG_WAIT_MS 30000

/* Requests to a process of the run, and its answers. Any process may write it; in shared memory. */
struct board_slot {
	_Atomic uint64_t signals;
	_Atomic bool leave; /* drain, disconnect, exit */
	_Atomic bool idle;  /* waits for nothing any more */
} __attribute__((aligned(64)));

struct board {
	_Atomic bool drain; /* wait for nothing new; go on signalling */
	_Atomic bool quit;  /* disconnect and exit */
	struct board_slot slots[ACTORS];
};

/* The run. Constant once it goes. */
struct chaos {
	struct run base; /* its pauses lie between two bursts of signals */
	struct board *board;
	uint32_t crowd; /* threads of the hostile waiter that has many */
};

/* Tokens travel as words: slot and line that they belong to, and the timeline's id. */
#define TOKEN_WORD(slot, line, id) ((uint64_t)(slot) << 40 | (uint64_t)(line) << 32 | (id))
#define TOKEN_SLOT(word)           ((unsigned int)((word) >> 40) & 0xff)
#define TOKEN_LINE(word)           ((unsigned int)((word) >> 32) & 0xff)
#define TOKEN_ID(word)             ((uint32_t)(word))

/* A timeline of any process, opened here. Freed with its last reference. */
struct entry {
	unsigned int refs; /* under the actor's lock */
	struct fbk_timeline *timeline;
	uint32_t id;
};

/* A timeline of our own. */
struct line {
	struct fbk_timeline *timeline;
	uint32_t id;
	_Atomic uint64_t next; /* the last value that was given to a signaler */
};

struct actor {
	const struct chaos *chaos;
	struct board_slot *slot;
	unsigned int number; /* of the slot */
	uint32_t instance;
	int socket;
	struct journal journal;
	struct fbk_context *context;
	struct fbk_device *device;
	struct line lines[LINES];
	_Atomic uint32_t next_id;
	_Atomic bool drain; /* no new waits */
	_Atomic bool quit;  /* no new signals */
	pthread_mutex_t lock;
	struct entry *table[ACTORS][LINES]; /* under the lock */
};

struct actor_thread {
	struct actor *actor;
	unsigned int number;
	pthread_t thread;
};

/* main() of the process: `socket` leads to the driver. */
int actor_run(const struct chaos *chaos, unsigned int slot, uint32_t instance, int socket);

/* actor.c: for its other parts. */
struct entry *entry_pick(struct actor *actor, struct dice *dice); /* NULL: there is none yet */
void entry_ref(struct actor *actor, struct entry *entry);
void entry_put(struct actor *actor, struct entry *entry);
uint64_t point_pick(struct dice *dice, uint64_t seen);
uint64_t deadline_pick(struct dice *dice);

/* actor-signal.c */
void line_create(struct actor *actor, unsigned int number);
void *signaler_run(void *thread);

/* actor-wait.c */
void *waiter_run(void *thread);

/* actor-loop.c: runs until the process has to end. `over` is called in each turn. */
void actor_loop(struct actor *actor, struct dice *dice, bool (*over)(struct actor *actor));
