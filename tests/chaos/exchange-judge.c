// SPDX-License-Identifier: MIT
/* Rules for consumers: each frame comes once, in order, is readable when its acquire point is
 * reached, and is not written before its release. */
#include "exchange-judge.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "exchange-trial.h"

#define SHORT_NS 1000000 /* shorter times are not worth a look at stops and lags */

/* When every consumer could have the frame: handed over and signalled. NEVER: not known. */
static uint64_t frame_there(const struct ledger_frame *frame)
{
	uint64_t signalled = frame->hand->seen_end ? frame->hand->seen_end : NEVER;
	return later(record_done(frame->hand), signalled);
}

/* Whether the producer missed a frame of this visit at its deadline. */
static bool visit_late(const struct trial *trial, const struct visit *visit, uint64_t when)
{
	const struct ledger_producer *producer = &trial->ledger->producers[visit->producer];
	uint64_t value = 1;
	for (size_t i = visit->count; i-- > 0;) {
		const struct holding *holding = &visit->holdings[i];
		const struct ledger_frame *frame =
			ledger_frame(trial->ledger, visit->producer, holding->value);
		if (i == visit->count - 1) {
			value = holding->value + 1;
		}
		if (visit->count - i > RING) {
			break;
		}
		if (frame && frame->hand->deadline <= when &&
		    !holding_back_by(holding, frame->hand->deadline)) {
			return true;
		}
	}
	for (; value < producer->count; value++) { /* frames that it never asked for */
		const struct record *hand = producer->frames[value].hand;
		if (hand && record_done(hand) >= visit->accept_begin && hand->deadline <= when) {
			return hand->begin <= when;
		}
		if (hand && hand->begin > when) {
			return false;
		}
	}
	return false;
}

static void judge_ended(const struct trial *trial, const struct visit *visit)
{
	const struct record *record = trial->record;
	const struct history_instance *producer = trial_instance(trial, record->timeline);
	bool gone = instance_gone(producer, trial->end);
	switch (record->result) {
	case 0:
	case -ETIMEDOUT:
		break;
	case -EOWNERDEAD:
		if (!gone) {
			frame_find(trial, EXCHANGE_WRONG, record->value);
		}
		break;
	case -EPIPE:
	case -ESTALE:
	case -ENOTCONN:
		if (!gone && !(visit && visit_late(trial, visit, trial->end))) {
			frame_find(trial, EXCHANGE_SENT_AWAY, record->value);
		}
		break;
	default:
		frame_find(trial, EXCHANGE_WRONG, record->value);
	}
}

static void judge_number(const struct trial *trial, const struct visit *visit,
			 const struct holding *holding)
{
	const struct ledger_frame *frame =
		ledger_frame(trial->ledger, visit->producer, holding->value);
	uint64_t before = holding->number > 0 ? holding[-1].value : 0;
	if (!frame || trial->end < frame->hand->begin) {
		frame_find(trial, EXCHANGE_PHANTOM, holding->value);
	} else if (holding->number == 0) {
		if (record_done(frame->hand) < visit->accept_begin) {
			frame_find(trial, EXCHANGE_STALE, holding->value);
		}
	} else if (holding->value <= before) {
		frame_find(trial, EXCHANGE_AGAIN, holding->value);
	} else if (holding->value > before + 1) {
		frame_find(trial, EXCHANGE_SKIPPED, holding->value);
	}
}

/* The frame that the consumer asks for next, and how long it waited for it once it was there. */
struct looking {
	const struct ledger_frame *frame; /* NULL: not known */
	uint64_t value, spent;
};

static void looking_for(const struct trial *trial, struct looking *looking, uint32_t producer,
			uint64_t value)
{
	looking->value = value;
	looking->spent = 0;
	looking->frame = ledger_frame(trial->ledger, producer, value);
}

/* A new consumer gets the first frame that is handed over after BOUND_NS. */
static void looking_begin(const struct trial *trial, struct looking *looking,
			  const struct visit *visit)
{
	const struct ledger_producer *producer = &trial->ledger->producers[visit->producer];
	size_t low = 1, high = producer->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		const struct record *hand = producer->frames[middle].hand;
		if (!hand || hand->begin <= visit->accept_end + BOUND_NS) {
			low = middle + 1;
		} else {
			high = middle;
		}
	}
	looking_for(trial, looking, visit->producer, low);
}

static void judge_looking(const struct trial *trial, struct looking *looking)
{
	const struct record *record = trial->record;
	if (!looking->frame) {
		return;
	}
	uint64_t there = frame_there(looking->frame);
	uint64_t before = looking->spent;
	uint64_t from = later(there, record->begin);
	if (from < trial->until) {
		uint64_t long_ns = trial->until - from;
		looking->spent +=
			long_ns < SHORT_NS ? long_ns : trial_ran(trial, from, trial->until);
	}
	if (before <= BOUND_NS && looking->spent > BOUND_NS) {
		frame_find(trial, EXCHANGE_WAKE, looking->value);
	}
}

static void judge_ready(const struct trial *trial, const struct visit *visit)
{
	const struct record *record = trial->record;
	const struct ledger_frame *frame =
		ledger_frame(trial->ledger, record->timeline, record->value);
	trial_wait(trial);
	judge_ended(trial, visit);
	if (frame && frame->hand->seen_end &&
	    trial_long(trial, later(frame->hand->seen_end, record->begin), trial->until)) {
		frame_find(trial, EXCHANGE_WAKE, record->value);
	}
}

/* The producer took the frame back in error, since this consumer was late or gone: it may write. */
static bool holding_taken(const struct ledger *ledger, const struct ledger_frame *frame,
			  const struct holding *holding, uint64_t when)
{
	return frame->back && frame->back_result != 0 && frame->back_time <= when &&
	       holding_lost(ledger, holding, frame->back_time);
}

static void judge_content(const struct trial *trial, const struct holding *holding)
{
	const struct record *record = trial->record;
	const struct ledger_frame *frame =
		ledger_frame(trial->ledger, record->timeline, record->value);
	uint64_t word = FRAME_WORD(record->timeline, record->value);
	if (!frame) {
		return; /* reported by another rule */
	}
	if (record->index != frame->hand->index) {
		frame_find(trial, EXCHANGE_BUFFER, record->value);
	}
	if (frame->hand->seen_begin == 0 || record->begin < frame->hand->seen_begin) {
		frame_find(trial, EXCHANGE_EARLY, record->value);
	}
	if ((record->seen_begin == word && record->seen_end == word) || record->seen_end == 0 ||
	    holding_taken(trial->ledger, frame, holding, trial->until)) {
		return;
	}
	if (record->seen_begin == record->seen_end) {
		frame_find(trial, record->seen_end > word ? EXCHANGE_NEWER : EXCHANGE_OLDER,
			   record->value);
	} else {
		frame_find(trial, record->seen_end > word ? EXCHANGE_NEWER : EXCHANGE_TORN,
			   record->value);
	}
}

static void judge_consumer(struct trial *trial)
{
	const struct history_instance *instance = trial->instance;
	const struct visit *visit = NULL;
	struct looking looking = { 0 };
	size_t held = 0;
	for (size_t i = 0; i < instance->count; i++) {
		const struct record *record = &instance->records[i];
		trial_set(trial, record);
		switch (atomic_load_explicit(&record->kind, memory_order_relaxed)) {
		case RECORD_ACCEPT:
			trial_time(trial, record->begin);
			if (record_opens_visit(record)) {
				visit = trial->ledger->visits[trial->visit_next++];
				held = 0;
				trial->verdict->frames.visits++;
				looking_begin(trial, &looking, visit);
			} else if (trial->end != NEVER && record->result != -EBUSY &&
				   !instance_gone(trial_instance(trial, record->timeline),
						  trial->end)) {
				frame_find(trial, EXCHANGE_WRONG, 0);
			}
			break;
		case RECORD_NEXT:
			trial_wait(trial);
			judge_ended(trial, visit);
			judge_looking(trial, &looking);
			if (trial->end != NEVER && record->result == 0) {
				judge_number(trial, visit, &visit->holdings[held++]);
				looking_for(trial, &looking, visit->producer, record->value + 1);
				trial->verdict->frames.seen++;
			}
			break;
		case RECORD_READY:
			judge_ready(trial, visit);
			break;
		case RECORD_FRAME:
			judge_content(trial, &visit->holdings[held - 1]);
			break;
		case RECORD_PART:
			trial_time(trial, record->begin);
			break;
		default:
			break;
		}
	}
}

static int judge_instance(struct trial *trial)
{
	judge_producer(trial);
	judge_consumer(trial);
	return 0;
}

static int frames_judge(struct trial *trial)
{
	struct ledger ledger;
	int r = ledger_load(&ledger, trial->history);
	if (r < 0) {
		return r;
	}
	trial->ledger = &ledger;
	r = trial_instances(trial, judge_instance);
	ledger_free(&ledger);
	return r;
}

static void frames_summarize(const struct verdict *verdict)
{
	printf("%" PRIu64 " frames, %" PRIu64 " came back, %" PRIu64 " in error; %" PRIu64
	       " seen by %" PRIu64 " visits, %" PRIu64 " waits, %" PRIu64 " timed out",
	       verdict->frames.handed, verdict->frames.backs, verdict->frames.in_error,
	       verdict->frames.seen, verdict->frames.visits, verdict->waits, verdict->timed_out);
}

#define FINDING_KIND(number, name, text) [EXCHANGE_##number] = { name, text },
static const struct finding_kind finding_kinds[EXCHANGE_FINDING_COUNT] = { EXCHANGE_FINDINGS(
	FINDING_KIND) };
static_assert(EXCHANGE_FINDING_COUNT <= FINDINGS_MAX, "a bit and a count each");

const struct judge exchange_judge = {
	.checker = "chaos-exchange-check",
	.kinds = finding_kinds,
	.kind_count = EXCHANGE_FINDING_COUNT,
	.crash = EXCHANGE_CRASH,
	.judge = frames_judge,
	.summarize = frames_summarize,
};
