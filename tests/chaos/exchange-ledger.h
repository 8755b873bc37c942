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
#define LINKS_MAX    8 /* of a producer */

/* One consumer on one link: from an accept that succeeded, or may have, to its end. */
struct visit {
	struct history_instance *consumer;
	uint32_t producer, number; /* the link: its producer and its number there */
	bool mailbox;
	uint32_t hold;
	uint64_t accept_begin, accept_end;
	uint64_t stopped, closed;    /* begin of that; NEVER: it was not */
	struct history_spans pauses; /* in order; the last may have no end */
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
	const struct record *hand;      /* NULL: no such frame */
	const struct record *back;      /* NULL: it never came back */
	const struct record *abandoned; /* NULL: it was not */
	uint64_t back_time;
	uint64_t abandoned_before; /* the last one before it that was; 0: none */
	int back_result;
	const struct holding *holdings;
};

struct ledger_link {
	uint32_t depth; /* 0: none */
	bool skips;
};

struct ledger_producer {
	struct ledger_frame *frames; /* by number; 0: none */
	size_t count, capacity;
	struct ledger_link links[LINKS_MAX];
	uint32_t link_count;
	bool abandons; /* some frame */
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

/* Its acquire point failed, or was about to. */
bool frame_fails(const struct ledger_frame *frame);

/* From when on it was on no link any more; NEVER: not in the logs. */
uint64_t frame_gone(const struct ledger_frame *frame);

/* It was offered on each of its producer's links. */
bool frame_on_all(const struct ledger *ledger, uint32_t producer, const struct ledger_frame *frame);

const struct ledger_link *visit_link(const struct ledger *ledger, const struct visit *visit);

/* When the consumer began to release it, and when that was done; NEVER: not in the logs. */
uint64_t holding_let_go(const struct holding *holding);
uint64_t holding_given_back(const struct holding *holding);

/* Whether its holder's process was about to end by then: nobody else may have it from then on. */
bool holder_dead(const struct holding *holding, uint64_t when);

/* The earliest end of the visit: killed, left, stopped, closed. */
uint64_t visit_over(const struct visit *visit);

/* Whether it was paused at some time between the two. */
bool visit_paused(const struct visit *visit, uint64_t from, uint64_t to);
