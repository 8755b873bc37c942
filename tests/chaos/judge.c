// SPDX-License-Identifier: MIT
#include "judge.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "samples.h"

#define PRINTED_EACH 10 /* findings of a kind that are printed */

#define FINDING_NAME(number, name, text) [FINDING_##number] = name,
#define FINDING_TEXT(number, name, text) [FINDING_##number] = text,
const char *const finding_names[FINDING_COUNT] = { FINDINGS(FINDING_NAME) };
static const char *const finding_texts[FINDING_COUNT] = { FINDINGS(FINDING_TEXT) };

/* One question to a process of the run: what it waited for, and how that ended. */
struct trial {
	const struct history *history;
	const struct history_instance *instance;
	const struct record *record; /* the wait; the head, where there are several points */
	size_t number;               /* of the record */
	uint64_t end;                /* NEVER: none */
	uint64_t until;              /* `end`, or when it was killed: until then it waited */
	struct verdict *verdict;
};

static void trial_find(const struct trial *trial, enum finding finding, const struct record *point)
{
	struct verdict *verdict = trial->verdict;
	const struct record *record = trial->record;
	verdict->total++;
	if (verdict->findings[finding]++ >= PRINTED_EACH) {
		return;
	}
	printf("%s: %s: instance %u record %zu (kind %u): point %" PRIu64
	       " of %u.%u, begun %" PRIu64 ", ended %" PRIu64 ", deadline %" PRIu64
	       ", result %d (%s), seen %" PRIu64 " and %" PRIu64 "; signal begun %" PRId64
	       ", done %" PRId64 ", failed %" PRId64 "\n",
	       finding_names[finding], finding_texts[finding], trial->instance->header->instance,
	       trial->number, record->kind, point->value, point->timeline >> 8,
	       point->timeline & 0xff, record->begin, trial->end == NEVER ? 0 : trial->end,
	       record->deadline, record->result,
	       record->result < 0 ? strerrorname_np(-record->result) : "reached", point->seen_begin,
	       point->seen_end,
	       (int64_t)line_begun(history_line(trial->history, point->timeline), point->value),
	       (int64_t)line_done(history_line(trial->history, point->timeline), point->value),
	       (int64_t)history_failed_by(trial->history, point->timeline));
}

static bool trial_long(const struct trial *trial, uint64_t from, uint64_t to)
{
	if (from < trial->record->begin) {
		from = trial->record->begin;
	}
	return from < to && to - from > BOUND_NS &&
	       history_ran(trial->history, trial->instance, from, to) > BOUND_NS;
}

/* -------------------------------------------------------------------------- what an answer says -- */

static void judge_reached(const struct trial *trial, const struct record *point)
{
	struct history_line *line = history_line(trial->history, point->timeline);
	if (line_begun(line, point->value) > trial->end) {
		trial_find(trial, FINDING_EARLY, point);
	}
	if (point->seen_end < point->value) {
		trial_find(trial, FINDING_BELOW, point);
	}
	if (point->value >= line->failed) {
		trial_find(trial, FINDING_REVIVED, point);
	}
	if (point->value > line->reached) {
		line->reached = point->value;
	}
}

static void judge_failed(const struct trial *trial, const struct record *point, int error)
{
	struct history_line *line = history_line(trial->history, point->timeline);
	if (!history_may_fail(trial->history, point->timeline, error, trial->end)) {
		trial_find(trial, FINDING_WRONG, point);
		return;
	}
	trial->verdict->failed++;
	if (line_done(line, point->value) != NEVER) {
		trial_find(trial, FINDING_DENIED, point);
	}
	if (point->value <= line->reached) {
		trial_find(trial, FINDING_REVIVED, point);
	}
	if (point->value < line->failed) {
		line->failed = point->value;
	}
}

/* When it was clear at the latest what becomes of a point, or of several. */
struct decision {
	uint64_t done; /* reached: for who looks, at once */
	uint64_t by;   /* or failed, which the daemon has to notice */
};

static struct decision point_decided(const struct trial *trial, const struct record *point)
{
	uint64_t done = line_done(history_line(trial->history, point->timeline), point->value);
	uint64_t failed = history_failed_by(trial->history, point->timeline);
	return (struct decision){ done, done < failed ? done : failed };
}

/* -------------------------------------------------------------------------------- kinds of waits -- */

/* Who times out looked once more before: not before the deadline, nor before he was asked. */
static bool trial_blind(const struct trial *trial, struct decision decision)
{
	const struct record *record = trial->record;
	uint64_t look = record->deadline > record->begin ? record->deadline : record->begin;
	return decision.done < look || trial_long(trial, decision.by, record->deadline);
}

static void judge_time(const struct trial *trial, struct decision decision,
		       const struct record *point)
{
	const struct record *record = trial->record;
	bool timed_out = trial->end != NEVER && record->result == -ETIMEDOUT;
	if (timed_out && trial->end < record->deadline) {
		trial_find(trial, FINDING_HASTY, point);
	}
	if (timed_out && trial_blind(trial, decision)) {
		trial_find(trial, FINDING_BLIND, point);
	} else if (trial_long(trial, decision.by, trial->until)) {
		trial_find(trial, FINDING_LOST, point);
	} else if (trial_long(trial, record->deadline, trial->until)) {
		trial_find(trial, FINDING_OVERSLEPT, point);
	}
	if (trial->end == NEVER && trial->instance->killed.begin == NEVER) {
		trial_find(trial, FINDING_UNENDED, point);
	}
}

static void judge_one(const struct trial *trial)
{
	const struct record *record = trial->record;
	judge_time(trial, point_decided(trial, record), record);
	if (trial->end == NEVER || record->result == -ETIMEDOUT) {
		return;
	}
	if (record->result == 0) {
		judge_reached(trial, record);
	} else {
		judge_failed(trial, record, record->result);
	}
}

static void judge_any(const struct trial *trial, const struct record *members)
{
	const struct record *record = trial->record;
	struct decision first = { NEVER, NEVER };
	for (unsigned int i = 0; i < record->number; i++) {
		struct decision one = point_decided(trial, &members[i]);
		first.done = one.done < first.done ? one.done : first.done;
		first.by = one.by < first.by ? one.by : first.by;
	}
	judge_time(trial, first, members);
	if (trial->end == NEVER || record->result == -ETIMEDOUT) {
		return;
	}
	if (record->index >= record->number) {
		trial_find(trial, FINDING_INDEX, members);
	} else if (record->result == 0) {
		judge_reached(trial, &members[record->index]);
	} else {
		judge_failed(trial, &members[record->index], record->result);
	}
}

static void judge_all(const struct trial *trial, const struct record *members)
{
	const struct record *record = trial->record;
	struct decision last = { 0, 0 };
	for (unsigned int i = 0; i < record->number; i++) {
		struct decision one = point_decided(trial, &members[i]);
		last.done = one.done > last.done ? one.done : last.done;
		last.by = one.by > last.by ? one.by : last.by;
	}
	judge_time(trial, last, members);
	if (trial->end == NEVER || record->result == -ETIMEDOUT) {
		return;
	}
	for (unsigned int i = 0; record->result == 0 && i < record->number; i++) {
		judge_reached(trial, &members[i]);
	}
	if (record->result < 0 && record->index >= record->number) {
		trial_find(trial, FINDING_INDEX, members);
	} else if (record->result < 0) {
		judge_failed(trial, &members[record->index], record->result);
	}
}

/* Watches and exports: once, and not once it was cancelled. */
static void judge_told(const struct trial *trial)
{
	const struct record *record = trial->record;
	if (record->flags & RECORD_CANCELLED) {
		if (record->fires > 0) {
			trial_find(trial, FINDING_CANCELLED, record);
		}
		return;
	}
	if (record->fires > 1) {
		trial_find(trial, FINDING_TWICE, record);
	}
	judge_one(trial);
}

/* --------------------------------------------------------------------------------- other records -- */

static void judge_signal(const struct trial *trial)
{
	const struct record *record = trial->record;
	/* The first timeline of a process is signalled by several threads: one may be overtaken. */
	bool shared = (record->timeline & 0xff) == 0;
	if (trial->end != NEVER && record->result != 0 &&
	    !(shared && record->result == -EALREADY)) {
		trial_find(trial, FINDING_SIGNAL, record);
	}
}

/* The token is refused only where its timeline may be gone. */
static void judge_open(const struct trial *trial)
{
	const struct record *record = trial->record;
	if (trial->end != NEVER && record->result != 0 &&
	    !(record->result == -EBADF &&
	      (history_may_fail(trial->history, record->timeline, -EPIPE, trial->end) ||
	       history_may_fail(trial->history, record->timeline, -EOWNERDEAD, trial->end)))) {
		trial_find(trial, FINDING_OPEN, record);
	}
}

static void judge_count(const struct trial *trial)
{
	struct verdict *verdict = trial->verdict;
	const struct record *record = trial->record;
	verdict->signals += record->kind == RECORD_SIGNAL;
	verdict->watches += record->kind == RECORD_WATCH;
	verdict->exports += record->kind == RECORD_EXPORT;
	if (record->kind == RECORD_WAIT || record->kind == RECORD_ANY ||
	    record->kind == RECORD_ALL) {
		verdict->waits++;
		verdict->unended += trial->end == NEVER;
		verdict->slept += (record->flags & RECORD_SLEPT) != 0;
		verdict->timed_out += trial->end != NEVER && record->result == -ETIMEDOUT;
	}
}

static int judge_record(struct trial *trial)
{
	const struct record *record = trial->record;
	const struct history_instance *instance = trial->instance;
	bool point = record->kind == RECORD_SIGNAL || record->kind == RECORD_OPEN ||
		     record->kind == RECORD_WAIT || record->kind == RECORD_MEMBER ||
		     record->kind == RECORD_WATCH || record->kind == RECORD_EXPORT;
	if (point && !history_line(trial->history, record->timeline)) {
		printf("instance %u record %zu: no timeline %u.%u\n", instance->header->instance,
		       trial->number, record->timeline >> 8, record->timeline & 0xff);
		return -EBADMSG;
	}
	if (trial->number + record->number >= instance->count + (record->number == 0)) {
		return -EBADMSG;
	}
	trial->end = record->end ? record->end : NEVER;
	trial->until = trial->end < instance->killed.begin ? trial->end : instance->killed.begin;
	judge_count(trial);
	switch (record->kind) {
	case RECORD_SIGNAL:
		judge_signal(trial);
		break;
	case RECORD_OPEN:
		judge_open(trial);
		break;
	case RECORD_WAIT:
		judge_one(trial);
		break;
	case RECORD_ANY:
		judge_any(trial, record + 1);
		break;
	case RECORD_ALL:
		judge_all(trial, record + 1);
		break;
	case RECORD_WATCH:
	case RECORD_EXPORT:
		judge_told(trial);
		break;
	default:
		break; /* members are judged with their heads */
	}
	return 0;
}

static void judge_sample(const struct sample *sample, bool back, void *arg)
{
	struct trial *trial = arg;
	trial->record = sample->record;
	trial->number = (size_t)(sample->record - trial->instance->records);
	trial->end = sample->record->end ? sample->record->end : NEVER;
	trial_find(trial, back ? FINDING_BACK : FINDING_AHEAD, sample->record);
}

static int judge_instance(struct trial *trial)
{
	const struct history_instance *instance = trial->instance;
	for (size_t i = 0; i < instance->count; i++) {
		trial->record = &instance->records[i];
		trial->number = i;
		int r = judge_record(trial);
		if (r < 0) {
			return r;
		}
	}
	return samples_judge(trial->history, instance, judge_sample, trial);
}

int history_judge(const struct history *history, struct verdict *ret_verdict)
{
	*ret_verdict = (struct verdict){ 0 };
	for (uint32_t i = 1; i < history->count; i++) {
		struct trial trial = {
			.history = history,
			.instance = &history->instances[i],
			.verdict = ret_verdict,
		};
		if (trial.instance->crashed) {
			printf("%s: instance %u, wait status 0x%x\n", finding_names[FINDING_CRASH],
			       i, (unsigned int)trial.instance->status);
			ret_verdict->findings[FINDING_CRASH]++;
			ret_verdict->total++;
		}
		int r = trial.instance->header ? judge_instance(&trial) : 0;
		if (r < 0) {
			return r;
		}
	}
	return 0;
}
