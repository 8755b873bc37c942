// SPDX-License-Identifier: MIT
/*
 * When to poll the payload of a silent device: learns the time from one value to the next, and predicts when
 * the next look pays. Pure; embedded in struct watched, under the watcher's mutex.
 */
#pragma once

#include <stdint.h>

struct pace {
	uint64_t value;   /* the last value seen */
	uint64_t at_ns;   /* about when it was reached; 0: none was */
	double step_ns;   /* from one value to the next; 0: not known yet */
	double spread_ns; /* the average error of the predictions */
};

/* The payload rose to `value` after `before_ns`, and was seen there at `now_ns`. */
void pace_observe(struct pace *pace, uint64_t value, uint64_t before_ns, uint64_t now_ns);

/* When to look again for `value`, for which a wait has lasted since `since_ns`. Never before `now_ns`, which
 * means at once. */
uint64_t pace_next(const struct pace *pace, uint64_t value, uint64_t since_ns, uint64_t now_ns);
