// SPDX-License-Identifier: MIT
/* What the rules for producers and consumers have in common. Owned by the checker; one thread. */
#pragma once

#include "exchange-judge.h"
#include "exchange-ledger.h"

#define BUFFERS 64 /* of an exchange, at most */

void frame_find(const struct trial *trial, enum exchange_finding finding, uint64_t value);
const struct history_instance *trial_instance(const struct trial *trial, uint32_t number);

/* Dead, crashed or leaving by then. */
bool instance_gone(const struct history_instance *instance, uint64_t when);

/* Everything that a process began ends, and in time. `from`: when it should have ended. */
void trial_time(const struct trial *trial, uint64_t from);
void trial_wait(const struct trial *trial); /* for a call with a deadline */

/* exchange-judge-producer.c: judges all records of a producer. */
void judge_producer(struct trial *trial);

/* exchange-judge-order.c: is it this frame's turn? */
void judge_number(const struct trial *trial, const struct holding *holding);
