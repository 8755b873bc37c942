// SPDX-License-Identifier: MIT
/*
 * Rules for which frames a consumer gets: each at most once, in order; of a fifo all of them, but for those that a pause, a
 * full link or their producer, who abandoned them, explains.
 */
#include <errno.h>

#include "exchange-trial.h"

/* Whether that consumer, or another one on the same link, got it as well. */
static bool holding_elsewhere(const struct ledger_frame *frame, const struct holding *holding,
			      bool same_visit)
{
	for (const struct holding *one = frame->holdings; one; one = one->chain) {
		if (one != holding && one->visit->number == holding->visit->number &&
		    (one->visit == holding->visit) == same_visit) {
			return true;
		}
	}
	return false;
}

/* How many frames before it this consumer may not have taken when it was handed over. */
static size_t offered_before(const struct holding *holding, const struct ledger_frame *frame)
{
	size_t count = 0;
	for (size_t i = 1; i <= holding->number; i++) {
		if (record_done(holding[-(ptrdiff_t)i].next) < frame->hand->begin) {
			break;
		}
		count++;
	}
	return count;
}

/* And how many that were abandoned were still on the link: for how many frames so ever, others passed it by. */
static size_t abandoned_before(const struct trial *trial, const struct visit *visit,
			       const struct ledger_frame *frame)
{
	size_t count = 0;
	const struct ledger_frame *one = frame;
	while (one->abandoned_before > 0) {
		one = ledger_frame(trial->ledger, visit->producer, one->abandoned_before);
		count += frame_gone(one) >= frame->hand->begin;
	}
	return count;
}

/* The link was full when that frame was handed over, which is not among those that the consumer got before `holding`. */
static bool frame_found_full(const struct trial *trial, const struct holding *holding,
			     uint64_t value)
{
	const struct visit *visit = holding->visit;
	const struct ledger_link *link = visit_link(trial->ledger, visit);
	const struct ledger_frame *frame = ledger_frame(trial->ledger, visit->producer, value);
	return link->skips && link->depth > 0 &&
	       offered_before(holding, frame) + abandoned_before(trial, visit, frame) >=
		       link->depth;
}

/* From one frame that a fifo consumer got to the next: what lies between. */
struct gap {
	bool abandoned;
	bool missing, unexplained;
};

static void gap_look(const struct trial *trial, const struct holding *holding, struct gap *gap)
{
	const struct visit *visit = holding->visit;
	const struct ledger_frame *before =
		ledger_frame(trial->ledger, visit->producer, holding[-1].value);
	for (uint64_t i = holding[-1].value + 1; i < holding->value; i++) {
		const struct ledger_frame *one = ledger_frame(trial->ledger, visit->producer, i);
		if (!one) {
			continue; /* it never was */
		}
		if (one->abandoned) {
			gap->abandoned = true;
			continue;
		}
		gap->missing = true;
		gap->unexplained |=
			!visit_paused(visit, before ? before->hand->begin : 0, trial->end) &&
			!frame_found_full(trial, holding, i);
	}
}

static void judge_gap(const struct trial *trial, const struct holding *holding)
{
	struct gap gap = { 0 };
	gap_look(trial, holding, &gap);
	bool told = trial->record->flags & RECORD_DISCONT;
	/* one of those may have been the first after the gap */
	if (gap.unexplained || (gap.missing && !told && !gap.abandoned)) {
		frame_find(trial, EXCHANGE_SKIPPED, holding->value);
	}
}

/* Those that it took after this one was handed over had been offered by then. */
static void judge_depth(const struct trial *trial, const struct holding *holding,
			const struct ledger_frame *frame)
{
	const struct ledger_link *link = visit_link(trial->ledger, holding->visit);
	if (link->skips && link->depth > 0 && holding->number >= link->depth &&
	    holding[-(ptrdiff_t)link->depth].next->begin > record_done(frame->hand)) {
		frame_find(trial, EXCHANGE_OVERFULL, holding->value);
	}
}

static void judge_after(const struct trial *trial, const struct holding *holding)
{
	const struct holding *before = &holding[-1];
	if (holding->value > before->value && holding->next->seen_end > before->next->seen_end) {
		if (!holding->visit->mailbox) {
			judge_gap(trial, holding);
		}
		return;
	}
	frame_find(trial, EXCHANGE_ORDER, holding->value);
}

void judge_number(const struct trial *trial, const struct holding *holding)
{
	const struct visit *visit = holding->visit;
	const struct record *record = trial->record;
	const struct ledger_frame *frame =
		ledger_frame(trial->ledger, visit->producer, holding->value);
	if (record->seen_begin != record->value) {
		frame_find(trial, EXCHANGE_META, holding->value);
	}
	/* what was abandoned is held no more, which the consumer may not know yet */
	if (record->fires >= visit->hold && !trial->ledger->producers[visit->producer].abandons) {
		frame_find(trial, EXCHANGE_HOLD, holding->value);
	}
	if (!frame || trial->end < frame->hand->begin) {
		frame_find(trial, EXCHANGE_PHANTOM, holding->value);
		return;
	}
	if (holding_elsewhere(frame, holding, false)) {
		frame_find(trial, EXCHANGE_WINNERS, holding->value);
	}
	judge_depth(trial, holding, frame);
	if (holding_elsewhere(frame, holding, true)) {
		frame_find(trial, EXCHANGE_AGAIN, holding->value);
	} else if (holding->number > 0) {
		judge_after(trial, holding);
	} else if (record_done(frame->hand) < visit->accept_begin) {
		frame_find(trial, EXCHANGE_STALE, holding->value);
	}
}
