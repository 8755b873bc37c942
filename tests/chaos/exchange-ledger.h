// SPDX-License-Identifier: MIT
/*
 * What became of each frame in a run with exchanges, from the logs: when it was handed over, who got it, and
 * when it came back. Built once from a history, then only asked. Owned by the checker; one thread.
 */
#pragma once

#include "exchange-record.h"
#include "history.h"

#define BACK_UNKNOWN 1 /* result of what fbk_exchange_take() gave */

/* From an accept that succeeded, or may have, to the end of that, for one consumer. */
struct visit {
	struct history_instance *consumer;
	uint32_t producer, number; /* whose link, and which */
	uint64_t accept_begin, accept_end;
	uint64_t closed; /* begun to close; NEVER: it was not, up to now */
	struct holding *holdings;
	size_t count, capacity;
};

/* A frame that a consumer got. */
struct holding {
	uint64_t value;
	const struct record *next;
	const struct record *frame; /* NULL: it never came to look at it */
	struct visit *visit;
	size_t number;               /* in its visit */
	const struct holding *chain; /* of the same frame */
};

struct ledger_frame {
	const struct record *hand; /* NULL: there is none of that number */
	const struct record *back; /* NEVER came: NULL */
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
	struct ledger_producer *producers; /* by instance; empty where it is none */
	struct visit **visits;
	size_t visit_count, visit_capacity;
};

/* 0 or a negative errno. */
int ledger_load(struct ledger *ledger, const struct history *history);
void ledger_free(struct ledger *ledger);

/* NULL: never handed over, as far as is known. */
struct ledger_frame *ledger_frame(const struct ledger *ledger, uint32_t producer, uint64_t value);

bool record_opens_visit(const struct record *record);

/* When its consumer was about to let go of it, and when that was done; NEVER: it did not. */
uint64_t holding_let_go(const struct holding *holding);
uint64_t holding_given_back(const struct holding *holding);

/* Whether it surely was back for its producer at that time. */
bool holding_back_by(const struct holding *holding, uint64_t when);

/* When the visit was over at the latest: killed, left, closed. */
uint64_t visit_over(const struct visit *visit);

/* Who had this frame may have been sent away, or be gone, by then: what he has may be taken from him. */
bool holding_lost(const struct ledger *ledger, const struct holding *holding, uint64_t when);
