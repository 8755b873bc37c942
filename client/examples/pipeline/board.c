// SPDX-License-Identifier: MIT
#include "board.h"

#include <stdatomic.h>

#include "clock.h"

struct times {
	_Atomic uint64_t noted[BOARD_POINTS];
};

int board_create(struct board *board, const char *name)
{
	return shared_create(&board->shared, name, sizeof(struct times));
}

int board_open(struct board *board, int fd)
{
	return shared_open(&board->shared, fd, sizeof(struct times));
}

void board_finish(struct board *board)
{
	shared_finish(&board->shared);
}

void board_note(struct board *board, uint64_t point)
{
	struct times *times = board->shared.memory;
	/* relaxed: the signal that follows publishes it */
	atomic_store_explicit(&times->noted[point % BOARD_POINTS], clock_now(),
			      memory_order_relaxed);
}

uint64_t board_read(const struct board *board, uint64_t point)
{
	const struct times *times = board->shared.memory;
	/* relaxed: the wait before it acquired */
	return atomic_load_explicit(&times->noted[point % BOARD_POINTS], memory_order_relaxed);
}
