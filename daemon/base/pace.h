// SPDX-License-Identifier: MIT
/*
 * When to look at a payload whose writer tells nobody: learns the time between two values from what
 * was seen, and says when the next look is worth it. Pure; embedded in struct watched, under the
 * watcher's mutex.
 */
#pragma once

#include <stdint.h>

struct pace {
	uint64_t value;   /* the last one whose time is known, */
	uint64_t at_ns;   /* about then; 0: none */
	double step_ns;   /* from one value to the next; 0: not known yet */
	double spread_ns; /* by how much predictions were wrong */
};

/* The payload rose to `value` after `before_ns`, and it was seen at `now_ns`. */
void pace_observe(struct pace *pace, uint64_t value, uint64_t before_ns, uint64_t now_ns);

/* When to look for `value` again, which is waited for since `since_ns`; never before `now_ns`, which
 * means at once. */
uint64_t pace_next(const struct pace *pace, uint64_t value, uint64_t since_ns, uint64_t now_ns);
