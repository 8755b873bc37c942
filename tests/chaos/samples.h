// SPDX-License-Identifier: MIT
/* The values that one process saw: they never step back, and are never ahead of what was signalled. */
#pragma once

#include "history.h"

struct sample {
	const struct record *record;
	uint32_t timeline;
	bool after;    /* read before `time`, else after it */
	uint64_t time; /* of the record's begin or end */
	uint64_t value;
};

/* Calls `fn` for each that does (`back`), or is. 0 or -ENOMEM. */
int samples_judge(const struct history *history, const struct history_instance *instance,
		  void (*fn)(const struct sample *sample, bool back, void *arg), void *arg);
