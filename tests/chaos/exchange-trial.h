// SPDX-License-Identifier: MIT
/* What the rules of exchange-judge.h have in common. Owned by the checker; one thread. */
#pragma once

#include "exchange-judge.h"
#include "exchange-ledger.h"

#define RING 64 /* frames under way on a link, at most */

void frame_find(const struct trial *trial, enum exchange_finding finding, uint64_t value);
const struct history_instance *trial_instance(const struct trial *trial, uint32_t number);

/* Dead, crashed or about to leave by then. */
bool instance_gone(const struct history_instance *instance, uint64_t when);

/* All that a process began: it ends, and in time. `from` is when it had to. */
void trial_time(const struct trial *trial, uint64_t from);
void trial_wait(const struct trial *trial); /* one with a deadline */

/* exchange-judge-producer.c: all of a producer's records. */
void judge_producer(struct trial *trial);
