// SPDX-License-Identifier: MIT
/*
 * CPU time as tokens: earned at a percentage of real time, spent as the thread's clock says. What is
 * saved is bounded, so that a long rest is followed by no long burst. So is what is owed: where a
 * hypervisor takes the CPU away from a thread that runs, its clock goes on, and a tenth of a second of
 * that must not silence it for a second. Pure; embedded in struct watcher, under its mutex.
 */
#pragma once

#include <stdint.h>

#include "clock.h"

#define BUDGET_DEPTH (50 * NS_PER_MS) /* of real time: its share may be saved up, or owed */
#define BUDGET_SLICE (50 * NS_PER_US) /* of CPU: worth waking up for */

struct budget {
	uint64_t percent;         /* 1 to 100 */
	int64_t tokens;           /* nanoseconds of CPU */
	uint64_t wall_ns, cpu_ns; /* when it was last settled */
};

/* With all that can be saved up. */
void budget_init(struct budget *budget, uint64_t percent, uint64_t wall_ns);

/* `cpu_ns` is the thread's clock, `wall_ns` that of the deadlines; neither may have gone back. */
void budget_settle(struct budget *budget, uint64_t wall_ns, uint64_t cpu_ns);

/* When there is enough for another slice; 0: now. */
uint64_t budget_wait(const struct budget *budget);
