// SPDX-License-Identifier: MIT
#include "samples.h"

#include <errno.h>
#include <stdlib.h>

static bool record_samples(const struct record *record)
{
	return record->kind == RECORD_WAIT || record->kind == RECORD_MEMBER ||
	       record->kind == RECORD_WATCH || record->kind == RECORD_EXPORT;
}

/* By timeline and time; values that were read after that time come first. */
static int sample_compare(const void *a, const void *b)
{
	const struct sample *left = a, *right = b;
	if (left->timeline != right->timeline) {
		return left->timeline < right->timeline ? -1 : 1;
	}
	if (left->time != right->time) {
		return left->time < right->time ? -1 : 1;
	}
	return left->after - right->after;
}

static size_t samples_take(const struct history_instance *instance, struct sample *samples)
{
	size_t count = 0;
	for (size_t i = 0; i < instance->count; i++) {
		const struct record *record = &instance->records[i];
		if (!record_samples(record)) {
			continue;
		}
		samples[count++] = (struct sample){ record, record->timeline, false, record->begin,
						    record->seen_begin };
		if (record->end) {
			samples[count++] = (struct sample){ record, record->timeline, true,
							    record->end, record->seen_end };
		}
	}
	return count;
}

int samples_judge(const struct history *history, const struct history_instance *instance,
		  void (*fn)(const struct sample *sample, bool back, void *arg), void *arg)
{
	struct sample *samples = calloc(2 * instance->count + 1, sizeof(*samples));
	if (!samples) {
		return -ENOMEM;
	}
	size_t count = samples_take(instance, samples);
	qsort(samples, count, sizeof(*samples), sample_compare);
	uint64_t known = 0; /* the largest value that was certainly read before */
	for (size_t i = 0; i < count; i++) {
		const struct sample *sample = &samples[i];
		const struct history_line *line = history_line(history, sample->timeline);
		if (i == 0 || sample->timeline != samples[i - 1].timeline) {
			known = 0;
		}
		if (!sample->after && sample->value < known) {
			fn(sample, true, arg);
		} else if (sample->after && sample->value < sample->record->seen_begin) {
			fn(sample, true, arg);
		}
		if (sample->after && sample->value > known) {
			known = sample->value;
		}
		if (sample->after && sample->value > 0 &&
		    line_begun(line, sample->value) > sample->time) {
			fn(sample, false, arg);
		}
	}
	free(samples);
	return 0;
}
