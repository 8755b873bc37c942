// SPDX-License-Identifier: MIT
#include "cells.h"

#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "mutant.h"

static long cell_wake(struct fbk_pair_cell *cell, int count)
{
	/* Not private: the other side is another process. */
	return syscall(SYS_futex, &cell->sequence, FUTEX_WAKE, count, NULL, NULL, 0);
}

long cell_bump(struct fbk_pair_cell *cell)
{
	MUTANT_STRETCH();
	if (MUTANT(BUMP_BEFORE_EXCHANGE)) {
		mutant_bump(&cell->sequence, &cell->minimum);
		return cell_wake(cell, CELL_WAKE_MAX);
	}
	/* seq_cst: taken before the bump, so that a waiter who lowers it again after the bump is
	 * not forgotten; and after the payload or status that is the reason for this wake (S4, D4) */
	atomic_exchange_explicit(&cell->minimum, FBK_MONITORED_NONE, memory_order_seq_cst);
	/* release: who sees the new sequence sees that reason (S5) */
	atomic_fetch_add_explicit(&cell->sequence, 1, memory_order_release);
	return cell_wake(cell, MUTANT(WAKE_ONE) ? 1 : CELL_WAKE_MAX); /* S6 */
}

void cell_wake_all(struct fbk_pair_cell *cell)
{
	/* release: what led to it is seen by who sees the new sequence */
	atomic_fetch_add_explicit(&cell->sequence, 1, memory_order_release);
	cell_wake(cell, INT_MAX);
}
