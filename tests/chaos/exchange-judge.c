// SPDX-License-Identifier: MIT
/* Rules for consumers: a frame is readable when its acquire point is reached, nobody writes it before its release, and no
 * wait, wake or error is lost. */
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

/* Its producer is gone, or this end has stopped. */
static void judge_end(const struct trial *trial, const struct visit *visit)
{
	const struct record *record = trial->record;
	bool gone = instance_gone(trial_instance(trial, record->timeline), trial->end);
	bool stopped = visit && visit->stopped <= trial->end;
	if (!gone && !stopped) {
		frame_find(trial, EXCHANGE_SENT_AWAY, record->value);
	}
}

/* A call that asked for the next frame says nothing of single frames: those that failed come too. */
static void judge_asked(const struct trial *trial, const struct visit *visit)
{
	const struct record *record = trial->record;
	switch (record->result) {
	case 0:
	case -ETIMEDOUT:
		break;
	case -ENOBUFS:
		if (!visit || record->fires < visit->hold) {
			frame_find(trial, EXCHANGE_HOLD, record->value);
		}
		break;
	case -EPIPE:
	case -ENOTCONN:
		judge_end(trial, visit);
		break;
	default:
		frame_find(trial, EXCHANGE_WRONG, record->value);
	}
}

static void judge_awaited(const struct trial *trial, const struct visit *visit,
			  const struct ledger_frame *frame)
{
	const struct record *record = trial->record;
	switch (record->result) {
	case 0:
	case -ETIMEDOUT:
		break;
	case -EIO:
		if (!frame || !frame_fails(frame)) {
			frame_find(trial, EXCHANGE_WRONG, record->value);
		}
		break;
	case -EOWNERDEAD:
		if (!instance_gone(trial_instance(trial, record->timeline), trial->end)) {
			frame_find(trial, EXCHANGE_WRONG, record->value);
		}
		break;
	case -EPIPE:
	case -ESTALE:
	case -ENOTCONN:
		judge_end(trial, visit);
		break;
	default:
		frame_find(trial, EXCHANGE_WRONG, record->value);
	}
}

/* A frame that the consumer has to get, unless it gets another one: and how long it waited for it once it was
 * there. */
struct looking {
	uint64_t value, spent;
	bool paused;
};

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
	*looking = (struct looking){ .value = low };
}

static void looking_for(struct looking *looking, uint64_t value)
{
	if (looking->value != value) {
		looking->value = value;
		looking->spent = 0;
	}
}

/* It was certainly offered to that consumer, which was there by then. */
static bool frame_offered(const struct trial *trial, const struct visit *visit,
			  const struct ledger_frame *frame)
{
	const struct record *hand = frame->hand;
	return frame_on_all(trial->ledger, visit->producer, frame) ||
	       (!visit_link(trial->ledger, visit)->skips &&
		!visit_paused(visit, hand->begin, record_done(hand)));
}

/* The first that was there, and that nobody took back. NULL: there is none yet. */
static const struct ledger_frame *looking_find(const struct trial *trial, struct looking *looking,
					       const struct visit *visit)
{
	const struct ledger_producer *producer = &trial->ledger->producers[visit->producer];
	for (uint64_t i = looking->value; i < producer->count; i++) {
		const struct ledger_frame *one = ledger_frame(trial->ledger, visit->producer, i);
		if (one && one->hand->begin > trial->until) {
			return NULL;
		}
		if (one && !frame_fails(one) && !one->abandoned &&
		    frame_offered(trial, visit, one) &&
		    !(one->back && one->back_time <= trial->until)) {
			looking_for(looking, i);
			return one;
		}
	}
	return NULL;
}

static void judge_looking(const struct trial *trial, struct looking *looking,
			  const struct visit *visit)
{
	const struct record *record = trial->record;
	const struct ledger_frame *frame = visit && !looking->paused && visit->stopped == NEVER
						   ? looking_find(trial, looking, visit)
						   : NULL;
	if (!frame) {
		return;
	}
	uint64_t before = looking->spent;
	uint64_t from = later(frame_there(frame), record->begin);
	if (from < trial->until) {
		uint64_t long_ns = trial->until - from;
		looking->spent +=
			long_ns < SHORT_NS ? long_ns : trial_ran(trial, from, trial->until);
	}
	if (before <= BOUND_NS && looking->spent > BOUND_NS) {
		frame_find(trial, EXCHANGE_WAKE, looking->value);
	}
}

/* By then it may have been taken from whoever has it. */
static bool frame_taken_away(const struct ledger_frame *frame, uint64_t when)
{
	return frame && frame->abandoned && frame->abandoned->begin <= when;
}

static void judge_ready(const struct trial *trial, const struct visit *visit)
{
	const struct record *record = trial->record;
	const struct ledger_frame *frame =
		ledger_frame(trial->ledger, record->timeline, record->value);
	trial_wait(trial);
	if (record->result != -ESTALE || !frame_taken_away(frame, trial->end)) {
		judge_awaited(trial, visit, frame);
	}
	if (frame && frame->hand->seen_end &&
	    trial_long(trial, later(frame->hand->seen_end, record->begin), trial->until)) {
		frame_find(trial, EXCHANGE_WAKE, record->value);
	}
}

/* Its release was refused: its producer is gone, or gave it up. */
static void judge_refused(const struct trial *trial, const struct ledger_frame *frame)
{
	const struct record *record = trial->record;
	if (record->fires == 0 || trial->end == NEVER || (frame && frame->abandoned) ||
	    instance_gone(trial_instance(trial, record->timeline), trial->end + BOUND_NS)) {
		return;
	}
	frame_find(trial, EXCHANGE_WRONG, record->value);
}

/* Whoever is late, and whatever else fails: as long as the consumer has it, nobody writes. */
static void judge_content(const struct trial *trial)
{
	const struct record *record = trial->record;
	const struct ledger_frame *frame =
		ledger_frame(trial->ledger, record->timeline, record->value);
	uint64_t word = FRAME_WORD(record->timeline, record->value);
	judge_refused(trial, frame);
	if (!frame) {
		return; /* reported by another rule */
	}
	if (record->index != frame->hand->index) {
		frame_find(trial, EXCHANGE_BUFFER, record->value);
	}
	if (frame_fails(frame) || frame->hand->seen_begin == 0 ||
	    record->begin < frame->hand->seen_begin) {
		frame_find(trial, EXCHANGE_EARLY, record->value);
	}
	if ((record->seen_begin == word && record->seen_end == word) || record->seen_end == 0) {
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

/* A consumer's records, in turn. */
struct reading {
	const struct visit *visit;
	struct looking looking;
	size_t held;
};

static void judge_accept(struct trial *trial, struct reading *reading)
{
	const struct record *record = trial->record;
	trial_time(trial, record->begin);
	if (record_opens_visit(record)) {
		reading->visit = trial->ledger->visits[trial->visit_next++];
		reading->held = 0;
		trial->verdict->frames.visits++;
		looking_begin(trial, &reading->looking, reading->visit);
	} else if (trial->end != NEVER && record->result != -EBUSY &&
		   !instance_gone(trial_instance(trial, record->timeline), trial->end)) {
		frame_find(trial, EXCHANGE_WRONG, 0);
	}
}

static void judge_next(struct trial *trial, struct reading *reading)
{
	struct looking *looking = &reading->looking;
	trial_wait(trial);
	judge_asked(trial, reading->visit);
	judge_looking(trial, looking, reading->visit);
	if (trial->end != NEVER && trial->record->result == 0) {
		judge_number(trial, &reading->visit->holdings[reading->held++]);
		looking_for(looking, trial->record->value + 1);
		trial->verdict->frames.seen++;
	}
}

static void judge_consumer(struct trial *trial)
{
	const struct history_instance *instance = trial->instance;
	struct reading reading = { 0 };
	for (size_t i = 0; i < instance->count; i++) {
		const struct record *record = &instance->records[i];
		trial_set(trial, record);
		switch (atomic_load_explicit(&record->kind, memory_order_relaxed)) {
		case RECORD_ACCEPT:
			judge_accept(trial, &reading);
			break;
		case RECORD_NEXT:
			judge_next(trial, &reading);
			break;
		case RECORD_READY:
			judge_ready(trial, reading.visit);
			break;
		case RECORD_FRAME:
			judge_content(trial);
			break;
		case RECORD_PAUSE:
			trial_time(trial, record->begin);
			reading.looking.paused = record->index;
			break;
		case RECORD_HALT:
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
	printf("%" PRIu64 " frames, %" PRIu64 " came back, %" PRIu64 " in error, %" PRIu64
	       " after a later one; %" PRIu64 " seen by %" PRIu64 " visits, %" PRIu64
	       " waits, %" PRIu64 " timed out",
	       verdict->frames.handed, verdict->frames.backs, verdict->frames.in_error,
	       verdict->frames.overtook, verdict->frames.seen, verdict->frames.visits,
	       verdict->waits, verdict->timed_out);
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
