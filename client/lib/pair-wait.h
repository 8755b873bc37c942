// SPDX-License-Identifier: MIT
/*
 * The pair path, the waiter's half: which cell of a timeline a wait sleeps on, and arming it. Any thread, no
 * lock; see pair-signal.h.
 */
#pragma once

#include <stdint.h>

struct fbk_pair_cell;
struct fbk_timeline;

/* When a thread began to wait, and until when it will. */
struct span {
	uint64_t now_ns, deadline_ns;
};

/* W1 and W2: the cell to arm and sleep on, and its sequence. */
struct fbk_pair_cell *pair_cell(struct fbk_timeline *timeline, uint32_t *ret_sequence);

/* W3: lower the cell's minimum. */
void pair_cell_arm(struct fbk_timeline *timeline, struct fbk_pair_cell *cell, uint64_t value,
		   const struct span *span);

/* The waiter is about to sleep through the daemon: maybe not the next time. Not under the mutex. */
void pair_join(struct fbk_timeline *timeline);
