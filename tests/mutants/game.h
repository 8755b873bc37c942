// SPDX-License-Identifier: MIT
/*
 * A game: a signaler process and a waiter process on one timeline, and this process, which watches
 * them. A point is signalled once all waiting threads have taken the previous one and are about to
 * wait for it: so a lost wake stays lost, and is seen. The processes share a board for that, apart
 * from the library.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>

#include "tests/integration/lib-peer.h"

#define GAME_SEATS 20 /* more than one bump wakes */

/* What a waiting thread publishes. */
struct seat {
	_Alignas(128) _Atomic uint64_t ready; /* signal this one; those before are taken */
	_Atomic uint64_t waiting;             /* asleep for this one, or nearly; 0: awake */
};

/* The atomic words are written and read in one order, seq_cst. */
struct board {
	_Alignas(128) _Atomic uint64_t begun; /* points up to this may be reached */
	_Alignas(128) uint64_t data;          /* what a point stands for: as much as it */
	_Alignas(128) _Atomic uint64_t done;  /* points up to this are */
	_Alignas(128) _Atomic bool found;     /* a fault */
	char fault[256];
	struct seat seats[GAME_SEATS];
};

struct waiter {
	const struct game *game;
	struct board *board;
	struct seat *seat;
	struct fbk_context *context;
	struct fbk_timeline *timeline;
	int token; /* of that timeline */
	unsigned int chance;
};

struct game {
	const char *name;
	void (*wait)(struct waiter *waiter); /* one thread, up to the end of the game or a fault */
	unsigned int seats;                  /* threads that wait */
	unsigned int signalers;              /* threads that signal in turn */
	unsigned int pause;                  /* before a signal: some turns of a loop, at most */
	bool mortal;                         /* the signaler dies soon, which ends the game */
};

/* The processes' main functions, for peer_start(); the game kills them at its end. */
struct seating {
	const struct game *game;
	struct board *board;
	const struct daemon *daemon;
	int token; /* the waiter's */
};
int signaler_run(int socket, void *arg); /* sends the token of its timeline */
int waiter_run(int socket, void *arg);

void wait_alone(struct waiter *waiter);      /* waits for a point: the signaler wakes it */
void wait_among_many(struct waiter *waiter); /* waits for any of so many that the daemon wakes it */
void wait_by_loop(struct waiter *waiter);    /* watches it, and polls: one thread */
void wait_anew(struct waiter *waiter);       /* opens the timeline again and again */

void board_fault(struct board *board, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* A random number below `limit`. */
unsigned int chance_draw(unsigned int *chance, unsigned int limit);

/* Play until `end_ms`, or until a fault is on the board. */
void game_play(const struct game *game, struct board *board, const struct daemon *daemon,
	       uint64_t end_ms);
