// SPDX-License-Identifier: MIT
/* What the rules of exchange-judge.h have in common. Owned by the checker; one thread. */
#pragma once

#include "exchange-judge.h"

#define RING 64 /* frames under way on a link, at most */

/* One record of one process. */
struct trial {
	const struct ledger *ledger;
	const struct history_instance *instance;
	const struct record *record;
	uint64_t end;   /* NEVER: none */
	uint64_t until; /* `end`, or when it was killed */
	struct exchange_verdict *verdict;
};

void trial_set(struct trial *trial, const struct history_instance *instance,
	       const struct record *record);
void trial_find(const struct trial *trial, enum exchange_finding finding, uint64_t value);
const struct history_instance *trial_instance(const struct trial *trial, uint32_t number);

/* Dead, crashed or about to leave by then. */
bool instance_gone(const struct history_instance *instance, uint64_t when);

/* How much of a time its process could run; and whether that was too much. */
uint64_t trial_ran(const struct trial *trial, uint64_t from, uint64_t to);
bool trial_long(const struct trial *trial, uint64_t from, uint64_t to);

/* All that a process began: it ends, and in time. `from` is when it had to. */
void trial_time(const struct trial *trial, uint64_t from);
void trial_wait(const struct trial *trial); /* one with a deadline */

/* exchange-judge-producer.c: all of a producer's records. */
void judge_producer(struct trial *trial);

static inline uint64_t later(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static inline uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}
