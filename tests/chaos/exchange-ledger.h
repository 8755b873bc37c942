// SPDX-License-Identifier: MIT
/*
 * Each frame of a run with exchanges, from the logs: when it was handed over, which consumers got
 * it, and when it came back. Built once from a history, then only read. Owned by the checker; one
 * thread.
 */
#pragma once

#include "exchange-record.h"
#include "history.h"

#define BACK_UNKNOWN 1 /* result of a frame that came back through fbk_exchange_take() */

/* One consumer on one link: from an accept that succeeded, or may have, to its end. */
struct visit {
	struct history_instance *consumer;
	uint32_t producer, number; /* the link: its producer and its number there */
	uint64_t accept_begin, accept_end;
	uint64_t closed; /* begin of the close; NEVER: not closed */
	struct holding *holdings;
	size_t count, capacity;
};

/* A frame that a consumer got. */
struct holding {
	uint64_t value;
	const struct record *next;
	const struct record *frame; /* NULL: the consumer never looked at it */
	struct visit *visit;
	size_t number;               /* in its visit */
	const struct holding *chain; /* of the same frame */
};

struct ledger_frame {
	const struct record *hand; /* NULL: no such frame */
	const struct record *back; /* NULL: it never came back */
	uint64_t back_time;
	int back_result;
	const struct holding *holdings;
};

struct ledger_producer {
	struct ledger_frame *frames; /* by number; 0: none */
	size_t count, capacity;
};

struct ledger {
	const struct history *history;
	struct ledger_producer *producers; /* by instance; empty for those that are no producers */
	struct visit **visits;
	size_t visit_count, visit_capacity;
};

/* 0 or a negative errno. */
int ledger_load(struct ledger *ledger, const struct history *history);
void ledger_free(struct ledger *ledger);

/* NULL: not handed over, as far as the logs say. */
struct ledger_frame *ledger_frame(const struct ledger *ledger, uint32_t producer, uint64_t value);

bool record_opens_visit(const struct record *record);

/* When the consumer began to release it, and when that was done; NEVER: not in the logs. */
uint64_t holding_let_go(const struct holding *holding);
uint64_t holding_given_back(const struct holding *holding);

/* Whether the producer certainly had it back by then. */
bool holding_back_by(const struct holding *holding, uint64_t when);

/* The earliest end of the visit: killed, left, closed. */
uint64_t visit_over(const struct visit *visit);

/* Whether the holder's link may have ended by then, for its lateness or its end: the producer may
 * then take the frame back. */
bool holding_lost(const struct ledger *ledger, const struct holding *holding, uint64_t when);
