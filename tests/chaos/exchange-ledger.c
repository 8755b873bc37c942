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

/* What happened to one frame. */
static int producer_add_frame(struct ledger_producer *producer, const struct record *record)
{
	uint8_t kind = record_kind_of(record);
	struct ledger_frame *frame = frame_at(producer, record->value);
	if (!frame) {
		return record->value >= FRAMES_MAX || record->value == 0 ? -EBADMSG : -ENOMEM;
	}
	if (kind == RECORD_HAND) {
		frame->hand = record;
	} else if (kind == RECORD_ABANDON) {
		frame->abandoned = record;
		producer->abandons = true;
	} else if (!frame->back) {
		frame->back = record;
		frame->back_time = kind == RECORD_BACK ? record->begin : record_done(record);
		frame->back_result = kind == RECORD_BACK ? record->result : BACK_UNKNOWN;
	}
	return 0;
}

static int producer_add_link(struct ledger_producer *producer, const struct record *record)
{
	if (record->number >= LINKS_MAX) {
		return -EBADMSG;
	}
	producer->links[record->number] =
		(struct ledger_link){ record->index, record->flags & RECORD_SKIPS };
	producer->link_count++;
	return 0;
}

static int producer_add(struct ledger_producer *producer, const struct record *record)
{
	bool unended = record_done(record) == NEVER;
	bool done = !unended && record->result == 0;
	switch (record_kind_of(record)) {
	case RECORD_HAND: /* on no link: it stays the producer's */
		return unended || (done && record->number > 0)
			       ? producer_add_frame(producer, record)
			       : 0;
	case RECORD_ABANDON:
		return unended || done ? producer_add_frame(producer, record) : 0;
	case RECORD_TAKE:
		return done && record->value > 0 ? producer_add_frame(producer, record) : 0;
	case RECORD_BACK:
		return producer_add_frame(producer, record);
	case RECORD_DEPTH:
		return producer_add_link(producer, record);
	default:
		return 0;
	}
}

static void producer_chain(struct ledger_producer *producer)
{
	uint64_t abandoned = 0;
	for (uint64_t i = 1; i < producer->count; i++) {
		producer->frames[i].abandoned_before = abandoned;
		if (producer->frames[i].hand && producer->frames[i].abandoned) {
			abandoned = i;
		}
	}
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
		.mailbox = record->flags & RECORD_MAILBOX,
		.hold = record->index,
		.accept_begin = record->begin,
		.accept_end = record_done(record),
		.stopped = NEVER,
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

static int pause_add(struct visit *visit, const struct record *record)
{
	struct history_spans *pauses = &visit->pauses;
	if (record->index == 0) {
		if (pauses->count > 0 && record_done(record) != NEVER) {
			pauses->spans[pauses->count - 1].end = record_done(record);
		}
		return 0;
	}
	struct history_span *spans =
		grow(pauses->spans, pauses->count + 1, &pauses->capacity, sizeof(*spans));
	if (!spans) {
		return -ENOMEM;
	}
	pauses->spans = spans;
	spans[pauses->count++] = (struct history_span){ record->begin, NEVER };
	return 0;
}

/* A record of a visit that goes on. */
static int visit_take(struct visit *visit, const struct record *record)
{
	switch (record_kind_of(record)) {
	case RECORD_NEXT:
		return record_done(record) != NEVER && record->result == 0
			       ? holding_add(visit, record)
			       : 0;
	case RECORD_FRAME:
		if (visit->count == 0 || visit->holdings[visit->count - 1].value != record->value) {
			return -EBADMSG;
		}
		visit->holdings[visit->count - 1].frame = record;
		return 0;
	case RECORD_PAUSE:
		return pause_add(visit, record);
	case RECORD_HALT:
		visit->stopped = record->begin;
		return 0;
	case RECORD_PART:
		visit->closed = record->begin;
		return 0;
	default:
		return 0;
	}
}

static int consumer_index(struct ledger *ledger, struct history_instance *instance)
{
	struct visit *visit = NULL;
	int r = 0;
	for (size_t i = 0; r == 0 && i < instance->count; i++) {
		const struct record *record = &instance->records[i];
		bool read = record_kind_of(record) == RECORD_FRAME ||
			    (record_kind_of(record) == RECORD_NEXT &&
			     record_done(record) != NEVER && record->result == 0);
		if (record_opens_visit(record)) {
			visit = visit_add(ledger, instance, record);
			r = visit ? 0 : -ENOMEM;
		} else if (visit) {
			r = visit_take(visit, record);
			visit = visit->closed == NEVER ? visit : NULL;
		} else if (read) {
			r = -EBADMSG;
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
		producer_chain(&ledger->producers[i]);
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
		free(ledger->visits[i]->pauses.spans);
		free(ledger->visits[i]);
	}
	free(ledger->visits);
	*ledger = (struct ledger){ 0 };
}

/* -------------------------------------------------------------------------------------- asking -- */

bool frame_fails(const struct ledger_frame *frame)
{
	return frame->hand->flags & RECORD_FAILS;
}

uint64_t frame_gone(const struct ledger_frame *frame)
{
	uint64_t back = frame->back ? frame->back_time : NEVER;
	return frame->abandoned ? earlier(record_done(frame->abandoned), back) : back;
}

bool frame_on_all(const struct ledger *ledger, uint32_t producer, const struct ledger_frame *frame)
{
	return frame->hand->number == ledger->producers[producer].link_count;
}

const struct ledger_link *visit_link(const struct ledger *ledger, const struct visit *visit)
{
	return &ledger->producers[visit->producer].links[visit->number % LINKS_MAX];
}

uint64_t holding_let_go(const struct holding *holding)
{
	return holding->frame ? record_done(holding->frame) : NEVER;
}

uint64_t holding_given_back(const struct holding *holding)
{
	uint64_t done = holding->frame ? holding->frame->deadline : 0;
	return done ? done : NEVER;
}

bool holder_dead(const struct holding *holding, uint64_t when)
{
	const struct history_instance *consumer = holding->visit->consumer;
	return consumer->crashed || consumer->killed.begin <= when;
}

uint64_t visit_over(const struct visit *visit)
{
	return earlier(earlier(visit->closed, visit->stopped),
		       earlier(visit->consumer->killed.begin, visit->consumer->left.begin));
}

bool visit_paused(const struct visit *visit, uint64_t from, uint64_t to)
{
	for (size_t i = 0; i < visit->pauses.count; i++) {
		const struct history_span *pause = &visit->pauses.spans[i];
		if (pause->begin <= to && from <= pause->end) {
			return true;
		}
	}
	return false;
}
