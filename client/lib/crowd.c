// SPDX-License-Identifier: MIT
#include "crowd.h"

#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "proto/mutant.h"

static long futex(_Atomic uint32_t *word, int operation, uint32_t value,
		  const struct timespec *until)
{
	/* Not private: the other side is another process. */
	return syscall(SYS_futex, word, operation, value, until, NULL, FUTEX_BITSET_MATCH_ANY);
}

void crowd_sleep(struct fbk_pair_cell *cell, uint32_t sequence, const struct timespec *until)
{
	futex(&cell->sequence, FUTEX_WAIT_BITSET, sequence, until);
}

/*
 * W6. A bump wakes 16 threads at most. The first thread of the process that sees the new sequence wakes all the
 * others: by then each thread that sleeps with an older one does so already, or will not. Passing the wake on
 * from 16 to 16 does not do: the kernel may pick threads that came to sleep later, which see nothing to pass on.
 */
void crowd_wake(struct crowd *crowd, struct fbk_pair_cell *cell)
{
	if (MUTANT(WAKE_ONE)) {
		return;
	}
	/* acquire: a new sequence comes with what it is about */
	uint32_t sequence = atomic_load_explicit(&cell->sequence, memory_order_acquire);
	/* relaxed, all three: a thread that came to sleep before the bump was counted before it; and `passed`
	 * only says whether another thread does it. One that is overtaken wakes once too often. */
	if (atomic_load_explicit(&crowd->passed, memory_order_relaxed) == sequence ||
	    atomic_load_explicit(&crowd->sleepers, memory_order_relaxed) == 0) {
		return;
	}
	if (atomic_exchange_explicit(&crowd->passed, sequence, memory_order_relaxed) != sequence) {
		futex(&cell->sequence, FUTEX_WAKE, INT_MAX, NULL);
	}
}
