// SPDX-License-Identifier: MIT
/*
 * How long a wait looks before it sleeps, learned per timeline from what it saw. A sleep costs tens
 * of microseconds, so looking pays where points come sooner; where they do not, it keeps the CPU
 * from others. Any thread may use it without a lock: updates that get lost only make it learn later.
 *
 * Two processes that answer each other are either both quick or both slow, since one that is answered late
 * sleeps and answers late. So where looking did not pay it is tried again now and then, twice in a
 * row, at times that are a little random: that two try together is what brings them back, where the
 * longest look that policy allows is longer than it takes to wake up.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* All zero: nothing learned. */
struct spin {
	_Atomic uint32_t usual_ns; /* that it took where looking paid; 0: not known */
	_Atomic uint16_t skip;     /* waits that shall sleep at once before it is tried again */
	_Atomic uint8_t futile;    /* tries in a row that did not pay */
	_Atomic uint8_t far;       /* waits in a row that took so long that looking never pays */
};

/* How long to look, at most `max_ns`; 0: sleep at once. */
uint64_t spin_budget(struct spin *spin, uint64_t max_ns);

/* What came of it: the point was decided within `took_ns`, or not, with that budget. */
void spin_learn(struct spin *spin, uint64_t budget_ns, uint64_t took_ns, bool decided);

/* A wait that slept took that long in all. */
void spin_slept(struct spin *spin, uint64_t took_ns);
