// SPDX-License-Identifier: MIT
/*
 * What both sides do with a cell in the same way, whichever page it lies in (proto/page.h): make it ready, and
 * wake who sleeps on it. Arming one is the waiter's (client/lib/pair-wait.c). Any thread.
 *
 * The letters in comments are those of tests/model: S signal, D daemon, X drop.
 */
#pragma once

#include "page.h"

#define CELL_WAKE_MAX 16 /* threads that one bump wakes: 50 us at worst (rule R2) */

/* Nobody waits on it yet. */
static inline void cell_init(struct fbk_pair_cell *cell)
{
	/* relaxed: the page, or the cell's number, is handed out after this */
	atomic_store_explicit(&cell->minimum, FBK_MONITORED_NONE, memory_order_relaxed);
}

/* Take the minimum, raise the sequence, wake CELL_WAKE_MAX threads at most: how many it woke. What is the
 * reason for it, a payload or a status, was stored before. */
long cell_bump(struct fbk_pair_cell *cell);

/* Raise the sequence and wake all; the minimum stays. */
void cell_wake_all(struct fbk_pair_cell *cell);
