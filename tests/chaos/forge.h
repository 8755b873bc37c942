// SPDX-License-Identifier: MIT
/*
 * Tests of a judge: forged logs of a correct run, into which each test writes one lie. Owned by the
 * test; one thread.
 */
#pragma once

#include "journal.h"
#include "judge.h"

#define FORGE_JOURNALS 4 /* at most; 0 is the driver's */

#define S    UINT64_C(1000000000)
#define STEP (S / 1000)

extern struct journal forge_journals[FORGE_JOURNALS];

/* A change of the logs, and the findings of it: these and no others. */
struct forge_lie {
	const char *name;
	void (*lie)(void);
	unsigned int findings;
};

#define LIE(name, findings)           \
	{                             \
#name, name, findings \
	}

/* The test of a judge: bugs, which it finds, and excuses, which look like bugs and give no
 * finding. */
struct forge_suite {
	const char *name;
	const struct judge *judge;
	void (*setup)(void); /* calls forge_begin(), and forges the logs of a correct run */
	const struct forge_lie *bugs, *excuses;
	int bug_count, excuse_count;
};

/* main() of such a test. */
int forge_main(const struct forge_suite *suite);

/* Empty logs of that many instances, the driver's among them. */
void forge_begin(uint32_t count);

/* A published record with its end. */
struct record *forge_record(struct journal *journal, unsigned int kind, uint64_t value,
			    uint64_t begin, uint64_t end, int result);
void forge_set_end(struct record *record, uint64_t end);
