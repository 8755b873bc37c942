// SPDX-License-Identifier: MIT
#include "exchange-ledger.h"

#include <errno.h>
#include <stdlib.h>

#include "judge.h"

/* a larger number in a log is nonsense */
#define FRAMES_MAX (UINT64_C(1) << 32)

static uint8_t record_kind_of(const struct record *record)
{
	return atomic_load_explicit(&record->kind,
				    memory_order_relaxed); /* relaxed: its writer is gone */
}

/* ----------------------------------------------------------------------------------- producers -- */

static struct ledger_frame *frame_at(struct ledger_producer *producer, uint64_t value)
{
	if (value == 0 || value >= FRAMES_MAX) {
		return NULL;
	}
	if (value >= producer->count) {
		struct ledger_frame *frames =
			grow(producer->frames, value + 1, &producer->capacity, sizeof(*frames));
		if (!frames) {
			return NULL;
		}
		producer->frames = frames;
		producer->count = value + 1;
	}
	return &producer->frames[value];
}

struct ledger_frame *ledger_frame(const struct ledger *ledger, uint32_t producer, uint64_t value)
{
	if (producer >= ledger->history->count) {
		return NULL;
	}
	const struct ledger_producer *found = &ledger->producers[producer];
	return value > 0 && value < found->count && found->frames[value].hand
		       ? &found->frames[value]
		       : NULL;
}

static int producer_add(struct ledger_producer *producer, const struct record *record)
{
	uint8_t kind = record_kind_of(record);
	bool hand = kind == RECORD_HAND && (record_done(record) == NEVER || record->result == 0);
	bool back = kind == RECORD_BACK || (kind == RECORD_TAKE && record_done(record) != NEVER &&
					    record->result == 0 && record->value > 0);
	if (!hand && !back) {
		return 0;
	}
	struct ledger_frame *frame = frame_at(producer, record->value);
	if (!frame) {
		return record->value >= FRAMES_MAX || record->value == 0 ? -EBADMSG : -ENOMEM;
	}
	if (hand) {
		frame->hand = record;
	} else if (!frame->back) {
		frame->back = record;
		frame->back_time = kind == RECORD_BACK ? record->begin : record_done(record);
		frame->back_result = kind == RECORD_BACK ? record->result : BACK_UNKNOWN;
	}
	return 0;
}

/* ----------------------------------------------------------------------------------- consumers -- */

static struct visit *visit_add(struct ledger *ledger, struct history_instance *consumer,
			       const struct record *record)
{
	struct visit *visit = calloc(1, sizeof(*visit));
	struct visit **visits = grow(ledger->visits, ledger->visit_count + 1,
				     &ledger->visit_capacity, sizeof(*visits));
	if (visits) {
		ledger->visits = visits;
	}
	if (!visit || !visits) {
		free(visit);
		return NULL;
	}
	*visit = (struct visit){
		.consumer = consumer,
		.producer = record->timeline,
		.number = record->number,
		.accept_begin = record->begin,
		.accept_end = record_done(record),
		.closed = NEVER,
	};
	visits[ledger->visit_count++] = visit;
	return visit;
}

bool record_opens_visit(const struct record *record)
{
	return record_kind_of(record) == RECORD_ACCEPT &&
	       (record_done(record) == NEVER || record->result == 0);
}

static int holding_add(struct visit *visit, const struct record *record)
{
	struct holding *holdings =
		grow(visit->holdings, visit->count + 1, &visit->capacity, sizeof(*holdings));
	if (!holdings) {
		return -ENOMEM;
	}
	visit->holdings = holdings;
	holdings[visit->count] = (struct holding){
		.value = record->value, .next = record, .visit = visit, .number = visit->count
	};
	visit->count++;
	return 0;
}

static int consumer_index(struct ledger *ledger, struct history_instance *instance)
{
	struct visit *visit = NULL;
	int r = 0;
	for (size_t i = 0; r == 0 && i < instance->count; i++) {
		const struct record *record = &instance->records[i];
		uint8_t kind = record_kind_of(record);
		bool done = record_done(record) != NEVER && record->result == 0;
		if (record_opens_visit(record)) {
			visit = visit_add(ledger, instance, record);
			r = visit ? 0 : -ENOMEM;
		} else if (kind == RECORD_PART && visit) {
			visit->closed = record->begin;
			visit = NULL;
		} else if (kind == RECORD_NEXT && done) {
			r = visit ? holding_add(visit, record) : -EBADMSG;
		} else if (kind == RECORD_FRAME) {
			bool last = visit && visit->count > 0 &&
				    visit->holdings[visit->count - 1].value == record->value;
			if (!last) {
				return -EBADMSG;
			}
			visit->holdings[visit->count - 1].frame = record;
		}
	}
	return r;
}

/* Links the holdings of each frame. Call it when the arrays have stopped growing. */
static void holdings_chain(const struct ledger *ledger)
{
	for (size_t i = 0; i < ledger->visit_count; i++) {
		struct visit *visit = ledger->visits[i];
		for (size_t n = 0; n < visit->count; n++) {
			struct holding *holding = &visit->holdings[n];
			struct ledger_frame *frame =
				ledger_frame(ledger, visit->producer, holding->value);
			if (frame) {
				holding->chain = frame->holdings;
				frame->holdings = holding;
			}
		}
	}
}

int ledger_load(struct ledger *ledger, const struct history *history)
{
	*ledger = (struct ledger){ .history = history };
	ledger->producers = calloc(history->count, sizeof(*ledger->producers));
	int r = ledger->producers ? 0 : -ENOMEM;
	for (uint32_t i = 1; r == 0 && i < history->count; i++) {
		struct history_instance *instance = &history->instances[i];
		for (size_t n = 0; r == 0 && n < instance->count; n++) {
			r = producer_add(&ledger->producers[i], &instance->records[n]);
		}
		if (r == 0) {
			r = consumer_index(ledger, instance);
		}
	}
	if (r < 0) {
		ledger_free(ledger);
		return r;
	}
	holdings_chain(ledger);
	return 0;
}

void ledger_free(struct ledger *ledger)
{
	for (uint32_t i = 0; ledger->producers && i < ledger->history->count; i++) {
		free(ledger->producers[i].frames);
	}
	free(ledger->producers);
	for (size_t i = 0; i < ledger->visit_count; i++) {
		free(ledger->visits[i]->holdings);
		free(ledger->visits[i]);
	}
	free(ledger->visits);
	*ledger = (struct ledger){ 0 };
}

/* -------------------------------------------------------------------------------------- asking -- */

uint64_t holding_let_go(const struct holding *holding)
{
	return holding->frame ? record_done(holding->frame) : NEVER;
}

uint64_t holding_given_back(const struct holding *holding)
{
	uint64_t done = holding->frame ? holding->frame->deadline : 0;
	return done ? done : NEVER;
}

bool holding_back_by(const struct holding *holding, uint64_t when)
{
	uint64_t given = holding_given_back(holding);
	if (given != NEVER && (holding->frame->flags & RECORD_BY_FENCE)) {
		given += BOUND_NS; /* the daemon raises it when it gets a CPU */
	}
	return given <= when;
}

uint64_t visit_over(const struct visit *visit)
{
	return earlier(visit->closed,
		       earlier(visit->consumer->killed.begin, visit->consumer->left.begin));
}

/* Frames come back in order: a late one holds up all behind it. */
bool holding_lost(const struct ledger *ledger, const struct holding *holding, uint64_t when)
{
	const struct visit *visit = holding->visit;
	if (visit_over(visit) <= when || visit->consumer->crashed) {
		return true;
	}
	for (size_t i = 0; i < 64 && i <= holding->number; i++) {
		const struct holding *one = &visit->holdings[holding->number - i];
		const struct ledger_frame *frame =
			ledger_frame(ledger, visit->producer, one->value);
		if (frame && frame->hand->deadline <= when &&
		    !holding_back_by(one, frame->hand->deadline)) {
			return true;
		}
	}
	return false;
}
