// SPDX-License-Identifier: MIT
/*
 * When each point of a timeline was signalled, for measuring only: one board belongs to one
 * timeline, its signaler writes it before the signal, waiters read it after the wait. It holds the
 * last BOARD_POINTS points; more are never under way here.
 */
#pragma once

#include <stdint.h>

#include "shared.h"

#define BOARD_POINTS 64

struct board {
	struct shared shared;
};

int board_create(struct board *board, const char *name);
int board_open(struct board *board, int fd); /* takes the fd; errors of shared_open() */
void board_finish(struct board *board);

void board_note(struct board *board, uint64_t point);           /* now */
uint64_t board_read(const struct board *board, uint64_t point); /* CLOCK_MONOTONIC */
