// SPDX-License-Identifier: MIT
/*
 * The pair path: a waiter's cell in memory that it shares with the signaler, which looks at it with
 * each signal. Neither waits for the daemon: both ask it on their slow path (who sleeps through the
 * daemon; who has to ring it) and go on with what they have until the answer is there.
 *
 * The letters in comments, here and in the daemon, are those of tests/model: S signal, W wait, R take up,
 * X drop, D daemon, F fail.
 */
#pragma once

#include "internal.h"

/*
 * A signaler's view of the cells of one timeline. timeline->cells is what signals look at, on any thread
 * and without a lock: NULL where there is none, or one that is dropped for a while. The rest changes
 * under the context's mutex. A cell that was taken off may still be written to by a thread that loaded
 * it before: its memory stays mapped (page_map_get_peer), and a wake too many is legal.
 */
struct signal_pairs {
	_Atomic uint32_t silent[PAIRS_MAX]; /* signals running that woke nobody */
	struct {
		struct page_map *map; /* NULL: free */
		uint32_t slot;
		uint64_t back_ns; /* dropped: until then; 0: looked at */
	} places[PAIRS_MAX];
	uint64_t generation; /* of the list that these are */
	bool asked;          /* for a newer one */
};

/* After the payload was raised to `value`: S3 to S6. */
void pairs_signal(struct fbk_timeline *timeline, uint64_t value);

/* The signaler had to ring the daemon: maybe that could be spared the next time. */
void pairs_refresh(struct fbk_timeline *timeline);

/* The waiter is about to sleep through the daemon: maybe not the next time. */
void pair_join(struct fbk_timeline *timeline);

/* W1 and W2: the cell to arm and sleep on, and its sequence. */
struct fbk_pair_cell *pair_cell(struct fbk_timeline *timeline, uint32_t *ret_sequence);

void pairs_free(struct fbk_timeline *timeline);

/* wait.c: W3. `span`: when somebody began to wait for that, and until when he will. */
struct span {
	uint64_t now_ns, deadline_ns;
};
void pair_cell_arm(struct fbk_timeline *timeline, struct fbk_pair_cell *cell, uint64_t value,
		   const struct span *span);

/* wait.c: W6, of one of those that slept on the cell, and was counted in the crowd. */
void crowd_wake(struct crowd *crowd, struct fbk_pair_cell *cell);
