// SPDX-License-Identifier: MIT
/* The values of timelines that one process read: they never fall, and are never ahead of what was
 * signalled. */
#pragma once

#include "history.h"

struct sample {
	const struct record *record;
	uint32_t timeline;
	bool after;    /* read before `time`, else after it */
	uint64_t time; /* of the record's begin or end */
	uint64_t value;
};

/* Calls `fn` for each value that falls (`back`) or is ahead. 0 or -ENOMEM. */
int samples_judge(const struct history *history, const struct history_instance *instance,
		  void (*fn)(const struct sample *sample, bool back, void *arg), void *arg);
