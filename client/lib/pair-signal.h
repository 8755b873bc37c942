// SPDX-License-Identifier: MIT
/*
 * The pair path, the signaler's half: cells in memory that is shared with each waiter, which every signal
 * looks at. Neither side waits for the daemon: both ask it on their slow path (a waiter that sleeps through the
 * daemon; a signaler that has to ring it) and continue with what they have until the answer is there.
 *
 * timeline->cells is what signals look at, on any thread and without a lock: NULL where there is none, or one
 * that is dropped for a while. The rest changes under the context's mutex. A cell that was taken off may
 * still be written to by a thread that loaded it before: its memory stays mapped (page_map_get_peer), and a
 * wake too many is legal.
 *
 * The letters in comments, here and in the daemon, are those of tests/model: S signal, W wait, R take up,
 * X drop, D daemon, F fail.
 */
#pragma once

#include <stdint.h>

struct fbk_timeline;

/* After the payload was raised to `value`: S3 to S6. */
void pairs_signal(struct fbk_timeline *timeline, uint64_t value);

/* The signaler had to ring the daemon: maybe that could be spared the next time. Not under the mutex. */
void pairs_refresh(struct fbk_timeline *timeline);
