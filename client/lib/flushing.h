// SPDX-License-Identifier: MIT
/*
 * Flushing: threads that sleep in calls of one object, or of a whole context, end with -ECANCELED, and none sleeps in one
 * until it is over. A thread looks at two flags before it sleeps: its context's, and that of the link or exchange that it
 * is in a call of, its scope. context_set_flushing() sets one and wakes.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>

struct flushing {
	_Atomic bool on;
};

static inline bool flushing_is_on(const struct flushing *flushing)
{
	/* acquire: a thread that loaded a sequence after it was bumped sees the flag, which was set before; one that
	 * loaded it earlier does not sleep with it any more */
	return atomic_load_explicit(&flushing->on, memory_order_acquire);
}

/* What this thread's calls are of, from now on; NULL: of nothing but the context. Returns what they were of. */
const struct flushing *scope_enter(const struct flushing *scope);
bool scope_is_flushing(void);

int flushing_error(void);
