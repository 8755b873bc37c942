// SPDX-License-Identifier: MIT
/*
 * What signals a brokered timeline from outside: kernel fences that are imported, or a syncobj that it mirrors.
 * Embedded in that, and on the timeline's list in the order of the points that it signals. The timeline talks to
 * the first one only. Loop's thread only.
 */
#pragma once

#include <bsd/sys/queue.h>
#include <stdint.h>

struct source;

/* NULL: nothing to do. */
struct source_ops {
	/* Somebody looks at the timeline: is the source as it was? May fail the timeline. */
	void (*look)(struct source *source);
	/* A deadline for `value` passed: take what has signalled up to there, since this process may not
	 * have got to it yet. */
	void (*catch_up)(struct source *source, uint64_t value);
	/* Somebody wants `value` by then: pass it on to whatever signals for it. */
	void (*hint)(struct source *source, uint64_t value, uint64_t deadline_ns);
	/* The timeline failed: take the source off its list. */
	void (*drop)(struct source *source);
};

struct source {
	TAILQ_ENTRY(source) links;
	const struct source_ops *ops;
};

TAILQ_HEAD(source_queue, source);
