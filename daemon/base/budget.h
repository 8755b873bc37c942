// SPDX-License-Identifier: MIT
/*
 * CPU time as tokens: a thread earns them at a percentage of real time and spends them by its CPU clock.
 * Savings are bounded, so that no long burst follows a long rest. Debt is bounded too: where a hypervisor
 * takes the CPU from a running thread, the thread's clock goes on, and a tenth of a second of that must not
 * silence the thread for a second. Pure; embedded in struct watcher, under its mutex.
 */
#pragma once

#include <stdint.h>

#include "clock.h"

#define BUDGET_DEPTH (50 * NS_PER_MS) /* of real time: the bound of savings and of debt */
#define BUDGET_SLICE (50 * NS_PER_US) /* of CPU time: the least that is worth a wake-up */

struct budget {
	uint64_t percent;         /* 1 to 100 */
	int64_t tokens;           /* nanoseconds of CPU */
	uint64_t wall_ns, cpu_ns; /* both clocks at the last budget_settle() */
};

/* Starts with the most that can be saved. */
void budget_init(struct budget *budget, uint64_t percent, uint64_t wall_ns);

/* `cpu_ns` is the thread's CPU clock, `wall_ns` the clock of deadlines; neither may step back. */
void budget_settle(struct budget *budget, uint64_t wall_ns, uint64_t cpu_ns);

/* When the tokens suffice for another slice; 0: now. */
uint64_t budget_wait(const struct budget *budget);
