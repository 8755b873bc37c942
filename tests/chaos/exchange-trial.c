// SPDX-License-Identifier: MIT
#include "exchange-trial.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "judge.h"

#define PRINTED_EACH 10 /* findings of a kind that are printed */

#define FINDING_NAME(number, name, text) [EXCHANGE_##number] = name,
#define FINDING_TEXT(number, name, text) [EXCHANGE_##number] = text,
const char *const exchange_finding_names[EXCHANGE_FINDING_COUNT] = { EXCHANGE_FINDINGS(
	FINDING_NAME) };
static const char *const finding_texts[EXCHANGE_FINDING_COUNT] = { EXCHANGE_FINDINGS(
	FINDING_TEXT) };

void trial_find(const struct trial *trial, enum exchange_finding finding, uint64_t value)
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

void trial_set(struct trial *trial, const struct history_instance *instance,
	       const struct record *record)
{
	trial->instance = instance;
	trial->record = record;
	trial->end = record_done(record);
	trial->until = trial->end < instance->killed.begin ? trial->end : instance->killed.begin;
}

uint64_t trial_ran(const struct trial *trial, uint64_t from, uint64_t to)
{
	return from < to ? history_ran(trial->ledger->history, trial->instance, from, to) : 0;
}

bool trial_long(const struct trial *trial, uint64_t from, uint64_t to)
{
	return from < to && to - from > BOUND_NS && trial_ran(trial, from, to) > BOUND_NS;
}

const struct history_instance *trial_instance(const struct trial *trial, uint32_t number)
{
	const struct history *history = trial->ledger->history;
	return &history->instances[number < history->count ? number : 0];
}

bool instance_gone(const struct history_instance *instance, uint64_t when)
{
	return instance->crashed || earlier(instance->killed.begin, instance->left.begin) <= when;
}

/* ------------------------------------------------------------------------------ what takes long -- */

/* All that a process began: it ends, and in time. `from` is when it had to. */
void trial_time(const struct trial *trial, uint64_t from)
{
	const struct record *record = trial->record;
	if (trial_long(trial, later(from, record->begin), trial->until)) {
		trial_find(trial, EXCHANGE_OVERSLEPT, record->value);
	}
	if (trial->end == NEVER && trial->instance->killed.begin == NEVER &&
	    !trial->instance->crashed) {
		trial_find(trial, EXCHANGE_UNENDED, record->value);
	}
}

void trial_wait(const struct trial *trial)
{
	const struct record *record = trial->record;
	bool timed_out = trial->end != NEVER && record->result == -ETIMEDOUT;
	trial->verdict->waits++;
	trial->verdict->timed_out += timed_out;
	trial_time(trial, record->deadline);
	if (timed_out && trial->end < record->deadline) {
		trial_find(trial, EXCHANGE_HASTY, record->value);
	}
}
