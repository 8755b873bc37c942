// SPDX-License-Identifier: MIT
/*
 * The two shapes that most rows have, written once, so that both sides think, count and take the
 * time alike. What differs is a side's own few functions, called through a pointer by both.
 *
 * A round trip: the leader signals, the partner wakes, thinks and signals back.
 * A turn: a round trip for which both prepare first, which is not measured; the partner sleeps then.
 * A post: the partner waits, the leader signals once it sleeps; what is measured is the call, or the
 * time until the partner is awake.
 *
 * Each side has one `struct meeting` in the memory that it shares with its partner; its numbers only
 * grow. A sample in which somebody who had to sleep did not is dropped and counted.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "bench.h"

#define MEETING_ROUND_MAX 1024
#define MEETING_WARM_UP   2 /* of each round: the first ones find the partner in its socket */

struct meeting {
	uint64_t value;                           /* of the last signal; each side counts */
	_Atomic uint8_t slept[MEETING_ROUND_MAX]; /* did the partner sleep for value n % MAX? */
	_Atomic uint64_t woken;                   /* when the partner was awake, for a post */
};

/* What a side does; `arg` is its own. */
struct half {
	void *arg;
	int (*signal)(void *arg, uint64_t value);
	int (*wait)(void *arg, uint64_t value);
	/* Of posts and turns, may be NULL: before the wait and after it, by whoever has them. */
	int (*prepare)(void *arg, uint64_t value);
	int (*settle)(void *arg, uint64_t value);
};

/* `socket` leads to the partner, who is in the _follow of the same name until it is gone. */
int trip_lead(int socket, struct meeting *meeting, const struct half *half, unsigned int count,
	      uint64_t think_ns, bool must_sleep, struct samples *samples);
int trip_follow(int socket, struct meeting *meeting, const struct half *half, uint64_t think_ns);

int turn_lead(int socket, struct meeting *meeting, const struct half *half, unsigned int count,
	      struct samples *samples);
int turn_follow(int socket, struct meeting *meeting, const struct half *half, uint64_t think_ns);

enum post_measure { POST_CALL, POST_WOKEN };

int post_lead(int socket, struct meeting *meeting, const struct half *half, unsigned int count,
	      enum post_measure measure, struct samples *samples);
int post_follow(int socket, struct meeting *meeting, const struct half *half);
