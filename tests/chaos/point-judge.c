// SPDX-License-Identifier: MIT
#include "point-judge.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "samples.h"

static void point_find(const struct trial *trial, enum finding finding, const struct record *point)
{
	const struct history_line *line = history_line(trial->history, point->timeline);
	if (trial_find(trial, finding)) {
		printf("point %" PRIu64 " of %u.%u, seen %" PRIu64 " and %" PRIu64
		       "; signal begun %" PRId64 ", done %" PRId64 ", failed %" PRId64 "\n",
		       point->value, point->timeline >> 8, point->timeline & 0xff,
		       point->seen_begin, point->seen_end, (int64_t)line_begun(line, point->value),
		       (int64_t)line_done(line, point->value),
		       (int64_t)history_failed_by(trial->history, point->timeline));
	}
}

/* Of the time in which the record's call waited. */
static bool wait_long(const struct trial *trial, uint64_t from, uint64_t to)
{
	return trial_long(trial, later(from, trial->record->begin), to);
}

/* -------------------------------------------------------------------------- what an answer says -- */

static void judge_reached(const struct trial *trial, const struct record *point)
{
	struct history_line *line = history_line(trial->history, point->timeline);
	if (line_begun(line, point->value) > trial->end) {
		point_find(trial, FINDING_EARLY, point);
	}
	if (point->seen_end < point->value) {
		point_find(trial, FINDING_BELOW, point);
	}
	if (point->value >= line->failed) {
		point_find(trial, FINDING_REVIVED, point);
	}
	if (point->value > line->reached) {
		line->reached = point->value;
	}
}

static void judge_failed(const struct trial *trial, const struct record *point, int error)
{
	struct history_line *line = history_line(trial->history, point->timeline);
	if (!history_may_fail(trial->history, point->timeline, error, trial->end)) {
		point_find(trial, FINDING_WRONG, point);
		return;
	}
	trial->verdict->points.failed++;
	if (line_done(line, point->value) != NEVER) {
		point_find(trial, FINDING_DENIED, point);
	}
	if (point->value <= line->reached) {
		point_find(trial, FINDING_REVIVED, point);
	}
	if (point->value < line->failed) {
		line->failed = point->value;
	}
}

/* The latest time at which the outcome of a point, or of several, was decided. */
struct decision {
	uint64_t done; /* reached: visible to each look at once */
	uint64_t by;   /* reached, or failed once the daemon has seen it */
};

static struct decision point_decided(const struct trial *trial, const struct record *point)
{
	uint64_t done = line_done(history_line(trial->history, point->timeline), point->value);
	uint64_t failed = history_failed_by(trial->history, point->timeline);
	return (struct decision){ done, done < failed ? done : failed };
}

/* -------------------------------------------------------------------------------- kinds of waits -- */

/* A wait looks once more before it times out: not before its deadline, nor before it began. */
static bool trial_blind(const struct trial *trial, struct decision decision)
{
	const struct record *record = trial->record;
	uint64_t look = record->deadline > record->begin ? record->deadline : record->begin;
	return decision.done < look || wait_long(trial, decision.by, record->deadline);
}

static void judge_time(const struct trial *trial, struct decision decision,
		       const struct record *point)
{
	const struct record *record = trial->record;
	bool timed_out = trial->end != NEVER && record->result == -ETIMEDOUT;
	if (timed_out && trial->end < record->deadline) {
		point_find(trial, FINDING_HASTY, point);
	}
	if (timed_out && trial_blind(trial, decision)) {
		point_find(trial, FINDING_BLIND, point);
	} else if (wait_long(trial, decision.by, trial->until)) {
		point_find(trial, FINDING_LOST, point);
	} else if (wait_long(trial, record->deadline, trial->until)) {
		point_find(trial, FINDING_OVERSLEPT, point);
	}
	if (trial->end == NEVER && trial->instance->killed.begin == NEVER) {
		point_find(trial, FINDING_UNENDED, point);
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
		point_find(trial, FINDING_INDEX, members);
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
		point_find(trial, FINDING_INDEX, members);
	} else if (record->result < 0) {
		judge_failed(trial, &members[record->index], record->result);
	}
}

/* Watches and exports fire once, and never after their cancel. */
static void judge_told(const struct trial *trial)
{
	const struct record *record = trial->record;
	if (record->flags & RECORD_CANCELLED) {
		if (record->fires > 0) {
			point_find(trial, FINDING_CANCELLED, record);
		}
		return;
	}
	if (record->fires > 1) {
		point_find(trial, FINDING_TWICE, record);
	}
	judge_one(trial);
}

/* --------------------------------------------------------------------------------- other records -- */

static void judge_signal(const struct trial *trial)
{
	const struct record *record = trial->record;
	/* Several threads signal the first timeline of a process: a faster one may have passed this
	 * value. */
	bool shared = (record->timeline & 0xff) == 0;
	if (trial->end != NEVER && record->result != 0 &&
	    !(shared && record->result == -EALREADY)) {
		point_find(trial, FINDING_SIGNAL, record);
	}
}

/* A token may be refused only when its timeline may be gone. */
static void judge_open(const struct trial *trial)
{
	const struct record *record = trial->record;
	if (trial->end != NEVER && record->result != 0 &&
	    !(record->result == -EBADF &&
	      (history_may_fail(trial->history, record->timeline, -EPIPE, trial->end) ||
	       history_may_fail(trial->history, record->timeline, -EOWNERDEAD, trial->end)))) {
		point_find(trial, FINDING_OPEN, record);
	}
}

static void judge_count(const struct trial *trial)
{
	struct verdict *verdict = trial->verdict;
	const struct record *record = trial->record;
	verdict->points.signals += record->kind == RECORD_SIGNAL;
	verdict->points.watches += record->kind == RECORD_WATCH;
	verdict->points.exports += record->kind == RECORD_EXPORT;
	if (record->kind == RECORD_WAIT || record->kind == RECORD_ANY ||
	    record->kind == RECORD_ALL) {
		verdict->waits++;
		verdict->points.unended += trial->end == NEVER;
		verdict->points.slept += (record->flags & RECORD_SLEPT) != 0;
		verdict->timed_out += trial->end != NEVER && record->result == -ETIMEDOUT;
	}
}

static int judge_record(struct trial *trial)
{
	const struct record *record = trial->record;
	const struct history_instance *instance = trial->instance;
	size_t number = (size_t)(record - instance->records);
	bool point = record->kind == RECORD_SIGNAL || record->kind == RECORD_OPEN ||
		     record->kind == RECORD_WAIT || record->kind == RECORD_MEMBER ||
		     record->kind == RECORD_WATCH || record->kind == RECORD_EXPORT;
	if (point && !history_line(trial->history, record->timeline)) {
		printf("instance %u record %zu: no timeline %u.%u\n", instance->header->instance,
		       number, record->timeline >> 8, record->timeline & 0xff);
		return -EBADMSG;
	}
	if (number + record->number >= instance->count + (record->number == 0)) {
		return -EBADMSG;
	}
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
	trial_set(trial, sample->record);
	point_find(trial, back ? FINDING_BACK : FINDING_AHEAD, sample->record);
}

static int judge_instance(struct trial *trial)
{
	const struct history_instance *instance = trial->instance;
	for (size_t i = 0; i < instance->count; i++) {
		trial_set(trial, &instance->records[i]);
		int r = judge_record(trial);
		if (r < 0) {
			return r;
		}
	}
	return samples_judge(trial->history, instance, judge_sample, trial);
}

static int points_judge(struct trial *trial)
{
	return trial_instances(trial, judge_instance);
}

static void points_summarize(const struct verdict *verdict)
{
	printf("%" PRIu64 " signals, %" PRIu64 " waits (%" PRIu64 " slept, %" PRIu64
	       " did not, %" PRIu64 " timed out, %" PRIu64 " unended), %" PRIu64
	       " watches, %" PRIu64 " exports, %" PRIu64 " failed",
	       verdict->points.signals, verdict->waits, verdict->points.slept,
	       verdict->waits - verdict->points.slept - verdict->points.unended, verdict->timed_out,
	       verdict->points.unended, verdict->points.watches, verdict->points.exports,
	       verdict->points.failed);
}

#define FINDING_KIND(number, name, text) [FINDING_##number] = { name, text },
static const struct finding_kind finding_kinds[FINDING_COUNT] = { FINDINGS(FINDING_KIND) };
static_assert(FINDING_COUNT <= FINDINGS_MAX, "a bit and a count each");

const struct judge point_judge = {
	.checker = "chaos-check",
	.kinds = finding_kinds,
	.kind_count = FINDING_COUNT,
	.crash = FINDING_CRASH,
	.judge = points_judge,
	.summarize = points_summarize,
};
