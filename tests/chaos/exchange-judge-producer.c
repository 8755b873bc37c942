// SPDX-License-Identifier: MIT
/* Rules for producers: each frame comes back once, in order, and not before every consumer released
 * it. */
#include <errno.h>
#include <stdio.h>

#include "exchange-trial.h"

/* Whether a late, dead or failing consumer explains the error of a frame. */
static bool frame_troubled(const struct trial *trial, const struct ledger_frame *frame,
			   uint32_t producer, uint64_t value)
{
	const struct ledger *ledger = trial->ledger;
	for (uint64_t i = 0; i < RING && i < value; i++) {
		const struct ledger_frame *one = ledger_frame(ledger, producer, value - i);
		if (one && one->hand->deadline <= frame->back_time &&
		    (!one->back || one->back_time >= one->hand->deadline)) {
			return true; /* a consumer may have been late with it */
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
			return true; /* the daemon needs a while to see the end */
		}
	}
	return false;
}

/* Each consumer that had the frame released it before it came back. */
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
			frame_find(trial, EXCHANGE_REUSED, value);
		}
		in_error |= one->frame && one->frame->result < 0 && let_go <= frame->back_time;
		given = later(given, done == NEVER ? frame->back_time : done);
	}
	if (in_error && frame->back_result == 0) {
		frame_find(trial, EXCHANGE_ERROR_LOST, value);
	}
	if (frame->back_result < 0 && !frame_troubled(trial, frame, producer, value)) {
		frame_find(trial, EXCHANGE_ERROR_MADE, value);
	}
	if (trial_long(trial, frame->hand->deadline, frame->back_time)) {
		frame_find(trial, EXCHANGE_BACK_LATE, value);
	}
	if (frame->back_result == 0 && trial_long(trial, given, frame->back_time)) {
		frame_find(trial, EXCHANGE_BACK_SLOW, value);
	}
}

/* In the producer's order: which frame each buffer holds while it is away. */
struct tracking {
	uint64_t away[RING]; /* frames that are away, by buffer; 0: none */
	uint64_t back;       /* the last that came back */
};

static void judge_return(const struct trial *trial, struct tracking *tracking)
{
	const struct record *record = trial->record;
	const struct ledger_frame *frame =
		ledger_frame(trial->ledger, trial->instance->header->instance, record->value);
	trial->verdict->frames.backs++;
	trial->verdict->frames.in_error += record->result < 0;
	if (record->index >= RING || tracking->away[record->index] != record->value || !frame) {
		frame_find(trial, EXCHANGE_BACK_AGAIN, record->value);
		return;
	}
	tracking->away[record->index] = 0;
	if (record->value < tracking->back) {
		frame_find(trial, EXCHANGE_BACK_ORDER, record->value);
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
	    (life != NEVER && trial_long(trial, trial->record->deadline, life))) {
		frame_find(trial, EXCHANGE_LOST, value);
	}
}

static void judge_hand(const struct trial *trial, struct tracking *tracking)
{
	const struct record *record = trial->record;
	trial_time(trial, record->begin);
	if (trial->end == NEVER || record->result < 0) {
		if (trial->end != NEVER && record->result != -ENOTCONN) {
			frame_find(trial, EXCHANGE_WRONG, record->value);
		}
		return;
	}
	trial->verdict->frames.handed++;
	if (record->index < RING) {
		tracking->away[record->index] = record->value;
	}
	judge_lost(trial,
		   ledger_frame(trial->ledger, trial->instance->header->instance, record->value),
		   record->value);
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
			trial_wait(trial);
			if (trial->end == NEVER || record->result == -ETIMEDOUT) {
				break;
			}
			if (record->result < 0) {
				frame_find(trial, EXCHANGE_WRONG, record->value);
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
