// SPDX-License-Identifier: MIT
#include "exchange-trial.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

void frame_find(const struct trial *trial, enum exchange_finding finding, uint64_t value)
{
	const struct record *record = trial->record;
	if (trial_find(trial, finding)) {
		printf("frame %" PRIu64 " of %u.%u, buffer %u, seen %" PRIx64 " and %" PRIx64
		       ", killed %" PRId64 "\n",
		       value, record->timeline, record->number, record->index, record->seen_begin,
		       record->seen_end, (int64_t)trial->instance->killed.begin);
	}
}

const struct history_instance *trial_instance(const struct trial *trial, uint32_t number)
{
	const struct history *history = trial->history;
	return &history->instances[number < history->count ? number : 0];
}

bool instance_gone(const struct history_instance *instance, uint64_t when)
{
	return instance->crashed || earlier(instance->killed.begin, instance->left.begin) <= when;
}

/* ------------------------------------------------------------------------------ what takes long -- */

/* Everything that a process began ends, and in time. `from`: when it should have ended. */
void trial_time(const struct trial *trial, uint64_t from)
{
	const struct record *record = trial->record;
	if (trial_long(trial, later(from, record->begin), trial->until)) {
		frame_find(trial, EXCHANGE_OVERSLEPT, record->value);
	}
	if (trial->end == NEVER && trial->instance->killed.begin == NEVER &&
	    !trial->instance->crashed) {
		frame_find(trial, EXCHANGE_UNENDED, record->value);
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
		frame_find(trial, EXCHANGE_HASTY, record->value);
	}
}
