// SPDX-License-Identifier: MIT
/*
 * The outside source of a brokered timeline's points: an imported kernel fence, or a syncobj that the timeline
 * mirrors. Embedded in the import or mirror, and on the timeline's list in the order of the points. The timeline calls
 * the first source only. Loop's thread only.
 */
#pragma once

#include <bsd/sys/queue.h>
#include <stdint.h>

struct source;

/* NULL: nothing to do. */
struct source_ops {
	/* The timeline is being looked at: check that the source is intact. May fail the timeline. */
	void (*look)(struct source *source);
	/* A deadline for `value` passed: take the fences that have signalled up to there, which the loop
	 * may not have served yet. */
	void (*catch_up)(struct source *source, uint64_t value);
	/* A waiter wants `value` by this deadline: pass it on to the signaler of the fence. */
	void (*hint)(struct source *source, uint64_t value, uint64_t deadline_ns);
	/* The timeline failed: take the source off its list. */
	void (*drop)(struct source *source);
};

struct source {
	TAILQ_ENTRY(source) links;
	const struct source_ops *ops;
};

TAILQ_HEAD(source_queue, source);
