// SPDX-License-Identifier: MIT
/*
 * The clients of a run with exchanges: a producer hands frames over its links, a consumer takes
 * them from one of those, until it is told to end. They write down what they do (exchange-record.h)
 * and judge nothing; they fail only at what is neither success nor an expected error. One thread
 * each.
 *
 * A producer's end of the socket leads to the driver: it sends an offer for each of its links, with
 * the link's number. A consumer receives offers, with the producer's instance and that number.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "dice.h"
#include "journal.h"
#include "run.h"
#include "tests/integration/lib-exchange.h"

#define HELD_MOST       3 /* frames that a consumer holds at once */
#define PRODUCERS       3
#define CONSUMERS_EACH  2 /* of a producer, at most */
#define EXCHANGE_PLACES (PRODUCERS + PRODUCERS * CONSUMERS_EACH)

#define OFFER_WORD(instance, number) ((uint64_t)(instance) << 8 | (number))
#define OFFER_INSTANCE(word)         ((uint32_t)((word) >> 8))
#define OFFER_NUMBER(word)           ((uint32_t)((word)&0xff))

/* Of all processes, in shared memory. */
struct exchange_board {
	_Atomic uint64_t frames[PRODUCERS]; /* handed over */
	_Atomic bool over; /* producers: take all frames back, and end; consumers: end then */
};

/* The run. Constant once it goes. */
struct exchange_run {
	struct run base; /* its pauses are a producer's, between two frames; 0: none */
	struct exchange_board *board;
};

/* What producers and consumers have in common. */
struct exchange_actor {
	const struct exchange_run *run;
	unsigned int place;
	uint32_t instance;
	int socket;
	struct dice dice;
	struct journal journal;
	struct fbk_context *context;
};

void exchange_actor_init(struct exchange_actor *actor, const struct exchange_run *run,
			 unsigned int place, uint32_t instance, int socket);
struct record *exchange_actor_leaving(struct exchange_actor *actor); /* RECORD_LEAVE, begun now */
void exchange_actor_leave(struct exchange_actor *actor, struct record *leaving);

/* main() of a process. */
int exchange_producer_run(const struct exchange_run *run, unsigned int place, uint32_t instance,
			  unsigned int links, int socket);
int exchange_consumer_run(const struct exchange_run *run, unsigned int place, uint32_t instance,
			  int socket);
