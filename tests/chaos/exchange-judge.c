// SPDX-License-Identifier: MIT
#include "exchange-judge.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "judge.h"

#define PRINTED_EACH 10      /* findings of a kind that are printed */
#define RING         64      /* frames under way on a link, at most */
#define SHORT_NS     1000000 /* not worth asking what of it did not count */

#define FINDING_NAME(number, name, text) [EXCHANGE_##number] = name,
#define FINDING_TEXT(number, name, text) [EXCHANGE_##number] = text,
const char *const exchange_finding_names[EXCHANGE_FINDING_COUNT] = { EXCHANGE_FINDINGS(
	FINDING_NAME) };
static const char *const finding_texts[EXCHANGE_FINDING_COUNT] = { EXCHANGE_FINDINGS(
	FINDING_TEXT) };

/* One record of one process. */
struct trial {
	const struct ledger *ledger;
	const struct history_instance *instance;
	const struct record *record;
	uint64_t end;   /* NEVER: none */
	uint64_t until; /* `end`, or when it was killed */
	struct exchange_verdict *verdict;
};

static void trial_find(const struct trial *trial, enum exchange_finding finding, uint64_t value)
{
	struct exchange_verdict *verdict = trial->verdict;
	const struct record *record = trial->record;
	verdict->total++;
	if (verdict->findings[finding]++ >= PRINTED_EACH) {
		return;
	}
	printf("%s: %s: instance %u record %zd (kind %u): frame %" PRIu64 " of %u.%u, buffer %u, "
	       "begun %" PRIu64 ", ended %" PRId64 ", deadline %" PRIu64
	       ", result %d (%s), seen %" PRIx64 " and %" PRIx64 ", killed %" PRId64 "\n",
	       exchange_finding_names[finding], finding_texts[finding],
	       trial->instance->header->instance, record - trial->instance->records, record->kind,
	       value, record->timeline, record->number, record->index, record->begin,
	       trial->end == NEVER ? -1 : (int64_t)trial->end, record->deadline, record->result,
	       record->result < 0 ? strerrorname_np(-record->result) : "done", record->seen_begin,
	       record->seen_end, (int64_t)trial->instance->killed.begin);
}

static void trial_set(struct trial *trial, const struct history_instance *instance,
		      const struct record *record)
{
	trial->instance = instance;
	trial->record = record;
	trial->end = record_done(record);
	trial->until = trial->end < instance->killed.begin ? trial->end : instance->killed.begin;
}

static uint64_t later(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t ran(const struct trial *trial, uint64_t from, uint64_t to)
{
	return from < to ? history_ran(trial->ledger->history, trial->instance, from, to) : 0;
}

static bool is_long(const struct trial *trial, uint64_t from, uint64_t to)
{
	return from < to && to - from > BOUND_NS && ran(trial, from, to) > BOUND_NS;
}

static const struct history_instance *instance_of(const struct trial *trial, uint32_t number)
{
	const struct history *history = trial->ledger->history;
	return &history->instances[number < history->count ? number : 0];
}

static bool gone_by(const struct history_instance *instance, uint64_t when)
{
	return instance->crashed || earlier(instance->killed.begin, instance->left.begin) <= when;
}

/* When the frame was there for all: handed over, and signalled. NEVER: it is not known to be. */
static uint64_t frame_there(const struct ledger_frame *frame)
{
	uint64_t signalled = frame->hand->seen_end ? frame->hand->seen_end : NEVER;
	return later(record_done(frame->hand), signalled);
}

/* ------------------------------------------------------------------------------ what takes long -- */

/* All that a process began: it ends, and in time. `from` is when it had to. */
static void judge_time(const struct trial *trial, uint64_t from)
{
	const struct record *record = trial->record;
	if (is_long(trial, later(from, record->begin), trial->until)) {
		trial_find(trial, EXCHANGE_OVERSLEPT, record->value);
	}
	if (trial->end == NEVER && trial->instance->killed.begin == NEVER &&
	    !trial->instance->crashed) {
		trial_find(trial, EXCHANGE_UNENDED, record->value);
	}
}

static void judge_wait(const struct trial *trial)
{
	const struct record *record = trial->record;
	bool timed_out = trial->end != NEVER && record->result == -ETIMEDOUT;
	trial->verdict->waits++;
	trial->verdict->timed_out += timed_out;
	judge_time(trial, record->deadline);
	if (timed_out && trial->end < record->deadline) {
		trial_find(trial, EXCHANGE_HASTY, record->value);
	}
}

/* ----------------------------------------------------------------------------------- consumers -- */

/* A frame that the producer gave this visit and did not have back by its deadline. */
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
	for (; value < producer->count; value++) { /* what it never looked for */
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
	const struct history_instance *producer = instance_of(trial, record->timeline);
	bool gone = gone_by(producer, trial->end);
	switch (record->result) {
	case 0:
	case -ETIMEDOUT:
		break;
	case -EOWNERDEAD:
		if (!gone) {
			trial_find(trial, EXCHANGE_WRONG, record->value);
		}
		break;
	case -EPIPE:
	case -ENOTCONN:
		if (!gone && !(visit && visit_late(trial, visit, trial->end))) {
			trial_find(trial, EXCHANGE_SENT_AWAY, record->value);
		}
		break;
	default:
		trial_find(trial, EXCHANGE_WRONG, record->value);
	}
}

static void judge_number(const struct trial *trial, const struct visit *visit,
			 const struct holding *holding)
{
	const struct ledger_frame *frame =
		ledger_frame(trial->ledger, visit->producer, holding->value);
	uint64_t before = holding->number > 0 ? holding[-1].value : 0;
	if (!frame || trial->end < frame->hand->begin) {
		trial_find(trial, EXCHANGE_PHANTOM, holding->value);
	} else if (holding->number == 0) {
		if (record_done(frame->hand) < visit->accept_begin) {
			trial_find(trial, EXCHANGE_STALE, holding->value);
		}
	} else if (holding->value <= before) {
		trial_find(trial, EXCHANGE_AGAIN, holding->value);
	} else if (holding->value > before + 1) {
		trial_find(trial, EXCHANGE_SKIPPED, holding->value);
	}
}

/* What the consumer looks for next, and how long it did so while it was there. */
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

/* Whoever comes gets the first frame that is handed over when all has settled. */
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
		looking->spent += long_ns < SHORT_NS ? long_ns : ran(trial, from, trial->until);
	}
	if (before <= BOUND_NS && looking->spent > BOUND_NS) {
		trial_find(trial, EXCHANGE_WAKE, looking->value);
	}
}

static void judge_ready(const struct trial *trial)
{
	const struct record *record = trial->record;
	const struct ledger_frame *frame =
		ledger_frame(trial->ledger, record->timeline, record->value);
	judge_wait(trial);
	judge_ended(trial, NULL);
	if (frame && frame->hand->seen_end &&
	    is_long(trial, later(frame->hand->seen_end, record->begin), trial->until)) {
		trial_find(trial, EXCHANGE_WAKE, record->value);
	}
}

/* Its producer took it back in error, since this consumer was late or gone: then it may write. */
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
		return; /* found already */
	}
	if (record->index != frame->hand->index) {
		trial_find(trial, EXCHANGE_BUFFER, record->value);
	}
	if (frame->hand->seen_begin == 0 || record->begin < frame->hand->seen_begin) {
		trial_find(trial, EXCHANGE_EARLY, record->value);
	}
	if ((record->seen_begin == word && record->seen_end == word) || record->seen_end == 0 ||
	    holding_taken(trial->ledger, frame, holding, trial->until)) {
		return;
	}
	if (record->seen_begin == record->seen_end) {
		trial_find(trial, record->seen_end > word ? EXCHANGE_NEWER : EXCHANGE_OLDER,
			   record->value);
	} else {
		trial_find(trial, record->seen_end > word ? EXCHANGE_NEWER : EXCHANGE_TORN,
			   record->value);
	}
}

static void judge_consumer(struct trial *trial, size_t *visit_next)
{
	const struct history_instance *instance = trial->instance;
	const struct visit *visit = NULL;
	struct looking looking = { 0 };
	size_t held = 0;
	for (size_t i = 0; i < instance->count; i++) {
		const struct record *record = &instance->records[i];
		trial_set(trial, instance, record);
		switch (atomic_load_explicit(&record->kind, memory_order_relaxed)) {
		case RECORD_ACCEPT:
			judge_time(trial, record->begin);
			if (record_opens_visit(record)) {
				visit = trial->ledger->visits[(*visit_next)++];
				held = 0;
				trial->verdict->visits++;
				looking_begin(trial, &looking, visit);
			} else if (trial->end != NEVER && record->result != -EBUSY &&
				   !gone_by(instance_of(trial, record->timeline), trial->end)) {
				trial_find(trial, EXCHANGE_WRONG, 0);
			}
			break;
		case RECORD_NEXT:
			judge_wait(trial);
			judge_ended(trial, visit);
			judge_looking(trial, &looking);
			if (trial->end != NEVER && record->result == 0) {
				judge_number(trial, visit, &visit->holdings[held++]);
				looking_for(trial, &looking, visit->producer, record->value + 1);
				trial->verdict->seen++;
			}
			break;
		case RECORD_READY:
			judge_ready(trial);
			break;
		case RECORD_FRAME:
			judge_content(trial, &visit->holdings[held - 1]);
			break;
		case RECORD_PART:
			judge_time(trial, record->begin);
			break;
		default:
			break;
		}
	}
}

/* ----------------------------------------------------------------------------------- producers -- */

/* Whether something went wrong with a frame of theirs that explains an error. */
static bool frame_troubled(const struct trial *trial, const struct ledger_frame *frame,
			   uint32_t producer, uint64_t value)
{
	const struct ledger *ledger = trial->ledger;
	for (uint64_t i = 0; i < RING && i < value; i++) {
		const struct ledger_frame *one = ledger_frame(ledger, producer, value - i);
		if (one && one->hand->deadline <= frame->back_time &&
		    (!one->back || one->back_time >= one->hand->deadline)) {
			return true; /* somebody may have been late with it */
		}
	}
	for (const struct holding *one = frame->holdings; one; one = one->chain) {
		if (!one->frame || one->frame->result < 0) {
			return true; /* released in error */
		}
	}
	for (size_t i = 0; i < ledger->visit_count; i++) {
		const struct visit *visit = ledger->visits[i];
		uint64_t over = visit_over(visit);
		if (visit->producer == producer && visit->accept_begin <= frame->back_time &&
		    (visit->consumer->crashed ||
		     (over <= frame->back_time && frame->hand->begin <= over + BOUND_NS))) {
			return true; /* it takes a while until that is known */
		}
	}
	return false;
}

/* All that had it gave it back, each before it was back. */
static void judge_back(const struct trial *trial, const struct ledger_frame *frame, uint64_t value)
{
	uint32_t producer = trial->instance->header->instance;
	uint64_t given = record_done(frame->hand);
	bool in_error = false;
	for (const struct holding *one = frame->holdings; one; one = one->chain) {
		uint64_t let_go = holding_let_go(one);
		uint64_t done = holding_given_back(one);
		bool lost = frame->back_result != 0 &&
			    holding_lost(trial->ledger, one, frame->back_time);
		bool failed = frame->back_result != 0 && !one->frame;
		if (let_go > frame->back_time && !lost && !failed) {
			trial_find(trial, EXCHANGE_REUSED, value);
		}
		in_error |= one->frame && one->frame->result < 0 && let_go <= frame->back_time;
		given = later(given, done == NEVER ? frame->back_time : done);
	}
	if (in_error && frame->back_result == 0) {
		trial_find(trial, EXCHANGE_ERROR_LOST, value);
	}
	if (frame->back_result < 0 && !frame_troubled(trial, frame, producer, value)) {
		trial_find(trial, EXCHANGE_ERROR_MADE, value);
	}
	if (is_long(trial, frame->hand->deadline, frame->back_time)) {
		trial_find(trial, EXCHANGE_BACK_LATE, value);
	}
	if (frame->back_result == 0 && is_long(trial, given, frame->back_time)) {
		trial_find(trial, EXCHANGE_BACK_SLOW, value);
	}
}

/* In the producer's order: where each buffer is. */
struct tracking {
	uint64_t away[RING]; /* the frame that is; 0: none */
	uint64_t back;       /* the last that came back */
};

static void judge_return(const struct trial *trial, struct tracking *tracking)
{
	const struct record *record = trial->record;
	const struct ledger_frame *frame =
		ledger_frame(trial->ledger, trial->instance->header->instance, record->value);
	trial->verdict->backs++;
	trial->verdict->in_error += record->result < 0;
	if (record->index >= RING || tracking->away[record->index] != record->value || !frame) {
		trial_find(trial, EXCHANGE_BACK_AGAIN, record->value);
		return;
	}
	tracking->away[record->index] = 0;
	if (record->value < tracking->back) {
		trial_find(trial, EXCHANGE_BACK_ORDER, record->value);
	}
	tracking->back = later(tracking->back, record->value);
	judge_back(trial, frame, record->value);
}

static void judge_lost(const struct trial *trial, const struct ledger_frame *frame, uint64_t value)
{
	const struct history_instance *instance = trial->instance;
	if (frame->back || trial->end == NEVER) {
		return;
	}
	uint64_t life = earlier(instance->killed.begin, instance->left.begin);
	if ((instance->left.begin != NEVER && instance->killed.begin == NEVER) ||
	    (life != NEVER && is_long(trial, trial->record->deadline, life))) {
		trial_find(trial, EXCHANGE_LOST, value);
	}
}

static void judge_hand(const struct trial *trial, struct tracking *tracking)
{
	const struct record *record = trial->record;
	judge_time(trial, record->begin);
	if (trial->end == NEVER || record->result < 0) {
		if (trial->end != NEVER && record->result != -ENOTCONN) {
			trial_find(trial, EXCHANGE_WRONG, record->value);
		}
		return;
	}
	trial->verdict->frames++;
	if (record->index < RING) {
		tracking->away[record->index] = record->value;
	}
	judge_lost(trial,
		   ledger_frame(trial->ledger, trial->instance->header->instance, record->value),
		   record->value);
}

static void judge_producer(struct trial *trial)
{
	const struct history_instance *instance = trial->instance;
	struct tracking tracking = { 0 };
	for (size_t i = 0; i < instance->count; i++) {
		const struct record *record = &instance->records[i];
		trial_set(trial, instance, record);
		switch (atomic_load_explicit(&record->kind, memory_order_relaxed)) {
		case RECORD_HAND:
			judge_hand(trial, &tracking);
			break;
		case RECORD_TAKE:
			judge_wait(trial);
			if (trial->end == NEVER || record->result == -ETIMEDOUT) {
				break;
			}
			if (record->result < 0) {
				trial_find(trial, EXCHANGE_WRONG, record->value);
			} else if (record->value > 0) {
				judge_return(trial, &tracking);
			}
			break;
		case RECORD_BACK:
			judge_return(trial, &tracking);
			break;
		default:
			break;
		}
	}
}

int exchange_judge(const struct history *history, struct exchange_verdict *ret_verdict)
{
	struct ledger ledger;
	size_t visit_next = 0;
	*ret_verdict = (struct exchange_verdict){ 0 };
	int r = ledger_load(&ledger, history);
	if (r < 0) {
		return r;
	}
	for (uint32_t i = 1; i < history->count; i++) {
		struct trial trial = {
			.ledger = &ledger,
			.instance = &history->instances[i],
			.verdict = ret_verdict,
		};
		if (trial.instance->crashed) {
			printf("%s: instance %u, wait status 0x%x\n",
			       exchange_finding_names[EXCHANGE_CRASH], i,
			       (unsigned int)trial.instance->status);
			ret_verdict->findings[EXCHANGE_CRASH]++;
			ret_verdict->total++;
		}
		if (trial.instance->header) {
			judge_producer(&trial);
			judge_consumer(&trial, &visit_next);
		}
	}
	ledger_free(&ledger);
	return 0;
}
