// SPDX-License-Identifier: MIT
/*
 * The three patterns that most rows follow. Both sides of a row use the same code to think, count and
 * take the time; only the functions in `struct half` differ.
 *
 * Trip: the leader signals; the partner wakes, thinks and signals back.
 * Turn: a trip that both prepare first; the preparation is not measured, and the partner sleeps.
 * Post: the partner sleeps in a wait, the leader signals. Measured is the call, or the time until the
 * partner is awake.
 *
 * Each side has one `struct meeting` in memory shared with its partner; values only grow. A sample in
 * which a process did not sleep although it had to is dropped and counted.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "bench.h"

#define MEETING_ROUND_MAX 1024
#define MEETING_WARM_UP   2 /* trips per round that do not count: the partner is still in recvmsg() */

struct meeting {
	uint64_t value; /* of the last signal; counted by both processes */
	_Atomic uint8_t slept[MEETING_ROUND_MAX]; /* did the partner sleep for value n % MAX? */
	_Atomic uint64_t woken;                   /* post: when the partner was awake */
};

/* The functions of one process of a side. */
struct half {
	void *arg;
	int (*signal)(void *arg, uint64_t value);
	int (*wait)(void *arg, uint64_t value);
	/* Of posts and turns, may be NULL: run before the wait and after it. */
	int (*prepare)(void *arg, uint64_t value);
	int (*settle)(void *arg, uint64_t value);
};

/* The leader calls _lead for each round; the partner at the other end of `socket` stays in _follow. */
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
