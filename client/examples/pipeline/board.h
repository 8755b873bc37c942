// SPDX-License-Identifier: MIT
/*
 * When each point of a timeline was signalled, for measurement only. One board belongs to one
 * timeline: its signaler writes it before the signal, waiters read it after the wait. It holds the
 * last BOARD_POINTS points; no more are ever under way here. A device may write its own ticks.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "shared.h"

#define BOARD_POINTS 64

struct board {
	struct shared shared; /* whole pages */
};

/* A sample of a device's clock. */
struct board_clock {
	uint64_t ticks;
	uint64_t ns;        /* CLOCK_MONOTONIC at these ticks */
	double ns_per_tick; /* not 0 */
	unsigned int bits;  /* valid bits of a tick; 1 to 64 */
};

int board_create(struct board *board, const char *name);
int board_open(struct board *board, int fd);  /* takes the fd; errors of shared_open() */
int board_adopt(struct board *board, int fd); /* the same, writable */
void board_finish(struct board *board);

void board_note(struct board *board, uint64_t point); /* now */

/* The device will write the ticks, 64 bits, to that offset in the board's memory. Until then the
 * point counts as signalled now. */
size_t board_expect(struct board *board, uint64_t point, const struct board_clock *clock);

uint64_t board_read(const struct board *board, uint64_t point); /* CLOCK_MONOTONIC */
