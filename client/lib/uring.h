// SPDX-License-Identifier: MIT
/*
 * Sleeping on cells without a thread: io_uring waits on futex words (Linux 6.7), and makes the context's
 * fd readable when one of them is bumped. The kernel takes such waits from one thread only, and that is
 * the one that dispatches. Where there is no io_uring, or it may not be used, watches are the daemon's.
 *
 * All of this under the context's mutex.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct fbk_context;
struct fbk_pair_cell;
struct fbk_timeline;

struct nap; /* one sleep, on the cell of one timeline, which is its parent */

typedef void woken_fn(struct fbk_timeline *timeline);

/*
 * Sleep until the sequence is not this any more, or end at once if it is not. NULL: not on this thread, not
 * now, or never here; then the next dispatch sees to it that it can be, if that is possible. In a dispatch after
 * its end, `woken` is called, and timeline->nap is NULL.
 */
struct nap *uring_nap(struct fbk_timeline *timeline, const struct fbk_pair_cell *cell,
		      uint32_t sequence, woken_fn *woken);

/* The sequence moved on: has that ended it, though it was not collected yet, and may another one begin on this
 * thread? */
bool uring_nap_ended(const struct nap *nap, uint32_t sequence);

/* Its end is of no interest: its timeline goes, or has another one. */
void uring_forget(struct nap *nap);

/* Could there be naps on this context, on a thread that dispatches? */
bool uring_possible(const struct fbk_context *context);

/*
 * In a dispatch: calls `woken` for each timeline whose nap is over, which is also so when its thread is not the
 * one that dispatches any more.
 */
void uring_dispatch(struct fbk_context *context);

/* Of no context: may this process use io_uring (else what the kernel says to it), and does that wait for futexes
 * (else -EOPNOTSUPP)? */
int uring_probe(void);
