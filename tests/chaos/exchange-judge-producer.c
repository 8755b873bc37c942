// SPDX-License-Identifier: MIT
/*
 * Rules for producers: each frame comes back once, in any order: when every consumer that took it has released it, at the
 * release point of its own, or is dead; or unread, when it was retracted for a reason.
 */
#include <errno.h>
#include <stdio.h>

#include "exchange-trial.h"

static uint32_t trial_producer(const struct trial *trial)
{
	return trial->instance->header->instance;
}

/* Whether a consumer that came to its end explains the error of a frame, or that it came back unread. */
static bool frame_orphaned(const struct trial *trial, const struct ledger_frame *frame)
{
	const struct ledger *ledger = trial->ledger;
	for (size_t i = 0; i < ledger->visit_count; i++) {
		const struct visit *visit = ledger->visits[i];
		uint64_t over = visit_over(visit);
		if (visit->producer == trial_producer(trial) &&
		    visit->accept_begin <= frame->back_time &&
		    (visit->consumer->crashed ||
		     (over <= frame->back_time && frame->hand->begin <= over + BOUND_NS))) {
			return true; /* the daemon needs a while to see the end */
		}
	}
	return false;
}

/* Whether its consumers, or its own acquire point, explain that it came back in error. */
static bool frame_troubled(const struct trial *trial, const struct ledger_frame *frame)
{
	for (const struct holding *one = frame->holdings; one; one = one->chain) {
		if (!one->frame || one->frame->result < 0) {
			return true; /* released in error */
		}
	}
	return frame_fails(frame) || frame_orphaned(trial, frame);
}

/* A consumer that got it has let go of it, or is dead. */
static void judge_holding(const struct trial *trial, const struct ledger_frame *frame,
			  const struct holding *holding)
{
	uint64_t back = frame->back_time;
	if (holder_dead(holding, back)) {
		return;
	}
	if (holding->next->begin >= back) {
		frame_find(trial, EXCHANGE_RETRACTED, holding->value);
	} else if (record_done(holding->next) > back) {
		frame_find(trial, EXCHANGE_WINNERS, holding->value);
	} else if (holding->frame && holding_let_go(holding) > back) {
		frame_find(trial, EXCHANGE_REUSED, holding->value);
	}
}

/* Whether a frame after this one was reached by then. */
static bool later_reached(const struct trial *trial, uint64_t value, uint64_t when)
{
	const struct ledger *ledger = trial->ledger;
	for (uint64_t i = value + 1; i < ledger->producers[trial_producer(trial)].count; i++) {
		const struct ledger_frame *one = ledger_frame(ledger, trial_producer(trial), i);
		if (one && one->hand->begin > when) {
			return false;
		}
		if (one && !frame_fails(one) && one->hand->seen_begin &&
		    one->hand->seen_begin <= when) {
			return true;
		}
	}
	return false;
}

/* A consumer paused, or a mailbox had a later one to give. */
static bool frame_displaced(const struct trial *trial, const struct ledger_frame *frame,
			    uint64_t value)
{
	const struct ledger *ledger = trial->ledger;
	bool later_one = later_reached(trial, value, frame->back_time);
	for (size_t i = 0; i < ledger->visit_count; i++) {
		const struct visit *visit = ledger->visits[i];
		if (visit->producer == trial_producer(trial) &&
		    ((visit->mailbox && later_one && visit->accept_begin <= frame->back_time) ||
		     visit_paused(visit, frame->hand->begin, frame->back_time))) {
			return true;
		}
	}
	return false;
}

/* Nobody read it. */
static void judge_unread(const struct trial *trial, const struct ledger_frame *frame,
			 uint64_t value)
{
	if (frame_troubled(trial, frame) || record_done(frame->hand) == NEVER) {
		return;
	}
	if (frame->hand->seen_begin == 0 || frame->back_time < frame->hand->seen_begin) {
		frame_find(trial, EXCHANGE_UNDRAWN, value);
	}
	if (!frame_displaced(trial, frame, value)) {
		frame_find(trial, EXCHANGE_DISPLACED, value);
	}
}

/* When all that got it had given it back, or were dead; NEVER: not known. */
static uint64_t frame_given(const struct ledger_frame *frame)
{
	uint64_t given = record_done(frame->hand);
	unsigned int count = 0;
	for (const struct holding *one = frame->holdings; one; one = one->chain) {
		const struct history_instance *consumer = one->visit->consumer;
		uint64_t done = holding_given_back(one);
		bool by_fence = one->frame && (one->frame->flags & RECORD_BY_FENCE);
		if (done != NEVER && by_fence) {
			done += BOUND_NS; /* the daemon raises it when it gets a CPU */
		} else if (!by_fence) {
			done = earlier(done, consumer->killed.end); /* else somebody may raise it */
		}
		given = later(given, done);
		count++;
	}
	return count == frame->hand->number ? given : NEVER; /* else somebody need not take it */
}

static void judge_back(const struct trial *trial, const struct ledger_frame *frame, uint64_t value)
{
	bool in_error = false;
	for (const struct holding *one = frame->holdings; one; one = one->chain) {
		const struct record *record = one->frame;
		judge_holding(trial, frame, one);
		/* at the end of a link it may count as a release */
		in_error |= record && record->result < 0 && record->result != -ECANCELED &&
			    record->fires == 0 && holding_let_go(one) <= frame->back_time;
	}
	if (!frame->holdings) {
		judge_unread(trial, frame, value);
	} else {
		in_error |= frame_fails(frame);
	}
	if (in_error && frame->back_result == 0) {
		frame_find(trial, EXCHANGE_ERROR_LOST, value);
	}
	if (frame->back_result < 0 && !frame_troubled(trial, frame)) {
		frame_find(trial, EXCHANGE_ERROR_MADE, value);
	}
	if (frame->back_result <= 0 && trial_long(trial, frame_given(frame), frame->back_time)) {
		frame_find(trial, EXCHANGE_BACK_SLOW, value);
	}
}

/* In the producer's order: which frame each buffer holds while it is away. */
struct tracking {
	uint64_t away[BUFFERS]; /* by buffer; 0: none */
	uint64_t newest;        /* that came back */
};

static void judge_return(const struct trial *trial, struct tracking *tracking)
{
	const struct record *record = trial->record;
	const struct ledger_frame *frame =
		ledger_frame(trial->ledger, trial_producer(trial), record->value);
	trial->verdict->frames.backs++;
	trial->verdict->frames.in_error += record->result < 0;
	if (record->index >= BUFFERS || tracking->away[record->index] != record->value || !frame) {
		frame_find(trial, EXCHANGE_BACK_AGAIN, record->value);
		return;
	}
	tracking->away[record->index] = 0;
	trial->verdict->frames.overtook += record->value < tracking->newest;
	tracking->newest = later(tracking->newest, record->value);
	judge_back(trial, frame, record->value);
}

static void judge_lost(const struct trial *trial, const struct ledger_frame *frame, uint64_t value)
{
	const struct history_instance *instance = trial->instance;
	if (!frame || frame->back || frame->abandoned || trial->end == NEVER) {
		return;
	}
	bool left = instance->left.begin != NEVER && instance->killed.begin == NEVER;
	if (left || trial_long(trial, frame_given(frame),
			       earlier(instance->killed.begin, instance->left.begin))) {
		frame_find(trial, EXCHANGE_LOST, value);
	}
}

static void judge_hand(const struct trial *trial, struct tracking *tracking)
{
	const struct record *record = trial->record;
	trial_time(trial, record->begin);
	if (trial->end == NEVER || record->result < 0) {
		if (trial->end != NEVER && record->result != -EPIPE) {
			frame_find(trial, EXCHANGE_WRONG, record->value);
		}
		return;
	}
	if (record->number == 0) {
		return; /* all were paused, or full */
	}
	trial->verdict->frames.handed++;
	if (record->index < BUFFERS) {
		tracking->away[record->index] = record->value;
	}
	judge_lost(trial, ledger_frame(trial->ledger, trial_producer(trial), record->value),
		   record->value);
}

static void judge_take(const struct trial *trial, struct tracking *tracking)
{
	const struct record *record = trial->record;
	trial_wait(trial);
	if (trial->end == NEVER || record->result == -ETIMEDOUT) {
		return;
	}
	if (record->result < 0) {
		frame_find(trial, EXCHANGE_WRONG, record->value);
	} else if (record->value > 0) {
		judge_return(trial, tracking);
	}
}

static void judge_abandon(const struct trial *trial, struct tracking *tracking)
{
	const struct record *record = trial->record;
	if (trial->end != NEVER && record->result < 0) {
		if (record->result != -EINVAL) { /* it was back already */
			frame_find(trial, EXCHANGE_WRONG, record->value);
		}
	} else if (record->index < BUFFERS) {
		tracking->away[record->index] = 0;
	}
}

void judge_producer(struct trial *trial)
{
	const struct history_instance *instance = trial->instance;
	struct tracking tracking = { 0 };
	for (size_t i = 0; i < instance->count; i++) {
		const struct record *record = &instance->records[i];
		trial_set(trial, record);
		switch (atomic_load_explicit(&record->kind, memory_order_relaxed)) {
		case RECORD_HAND:
			judge_hand(trial, &tracking);
			break;
		case RECORD_TAKE:
			judge_take(trial, &tracking);
			break;
		case RECORD_BACK:
			judge_return(trial, &tracking);
			break;
		case RECORD_ABANDON:
			judge_abandon(trial, &tracking);
			break;
		default:
			break;
		}
	}
}
