// SPDX-License-Identifier: MIT
#include "board.h"

#include <stdatomic.h>

#include "clock.h"

#define PAGE 4096

struct time {
	_Atomic uint64_t ticks;
	_Atomic uint64_t clock_ticks; /* struct board_clock */
	_Atomic uint64_t clock_ns;
	_Atomic double ns_per_tick;
	_Atomic uint64_t bits;
};

struct times {
	struct time noted[BOARD_POINTS];
};
_Static_assert(sizeof(struct times) <= PAGE, "a board is one page");

int board_create(struct board *board, const char *name)
{
	return shared_create(&board->shared, name, PAGE);
}

int board_open(struct board *board, int fd)
{
	return shared_open(&board->shared, fd, PAGE);
}

int board_adopt(struct board *board, int fd)
{
	return shared_adopt(&board->shared, fd, PAGE);
}

void board_finish(struct board *board)
{
	shared_finish(&board->shared);
}

static struct time *time_of(const struct board *board, uint64_t point)
{
	struct times *times = board->shared.memory;
	return &times->noted[point % BOARD_POINTS];
}

size_t board_expect(struct board *board, uint64_t point, const struct board_clock *clock)
{
	struct time *time = time_of(board, point);
	/* relaxed, all of them: the signal that follows publishes them */
	atomic_store_explicit(&time->ticks, clock->ticks, memory_order_relaxed);
	atomic_store_explicit(&time->clock_ticks, clock->ticks, memory_order_relaxed);
	atomic_store_explicit(&time->clock_ns, clock->ns, memory_order_relaxed);
	atomic_store_explicit(&time->ns_per_tick, clock->ns_per_tick, memory_order_relaxed);
	atomic_store_explicit(&time->bits, clock->bits, memory_order_relaxed);
	return (size_t)((char *)&time->ticks - (char *)board->shared.memory);
}

void board_note(struct board *board, uint64_t point)
{
	const struct board_clock now = { .ns = clock_now(), .ns_per_tick = 1, .bits = 64 };
	board_expect(board, point, &now);
}

uint64_t board_read(const struct board *board, uint64_t point)
{
	const struct time *time = time_of(board, point);
	/* relaxed, all of them: the wait before them acquired */
	uint64_t ticks = atomic_load_explicit(&time->ticks, memory_order_relaxed) -
			 atomic_load_explicit(&time->clock_ticks, memory_order_relaxed);
	uint64_t unused = 64 - atomic_load_explicit(&time->bits, memory_order_relaxed);
	/* ticks may wrap, and the clock may have been read later */
	double passed = (double)((int64_t)(ticks << unused % 64) >> unused % 64);
	return atomic_load_explicit(&time->clock_ns, memory_order_relaxed) +
	       (uint64_t)(int64_t)(passed *
				   atomic_load_explicit(&time->ns_per_tick, memory_order_relaxed));
}
