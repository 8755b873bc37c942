// SPDX-License-Identifier: MIT
/*
 * Judges the logs of a run, by the rules of its kind: point-judge.h or exchange-judge.h. Each
 * finding is printed with its place in the logs. Owned by the checker; one thread.
 */
#pragma once

#include "history.h"

/* What must happen happens within this time, not counting the time in which the process was stopped
 * or the machine was overloaded, as the meter saw it. The bound is far below the deadlines of
 * waits, which would hide a lost wake, and far above what the code in between needs once it has a
 * CPU. */
#define BOUND_NS UINT64_C(6000000000)

#define FINDINGS_MAX 32 /* kinds of them */

struct finding_kind {
	const char *name, *text;
};

struct ledger;

struct verdict {
	uint64_t findings[FINDINGS_MAX];
	uint64_t total; /* findings */
	uint64_t waits, timed_out;
	struct {
		uint64_t signals, slept, failed, watches, exports, unended;
	} points;
	struct {
		uint64_t handed, backs, in_error, overtook, seen, visits;
	} frames;
};

/* One record of one process, and what it is judged by. */
struct trial {
	const struct judge *judge;
	const struct history *history;
	const struct ledger *ledger; /* of a run with exchanges */
	size_t visit_next;           /* in that */
	const struct history_instance *instance;
	const struct record *record;
	uint64_t end;   /* NEVER: none */
	uint64_t until; /* `end`, or when the process was killed: it waited until then */
	struct verdict *verdict;
};

/* The rules of a kind of run. */
struct judge {
	const char *checker;              /* the program */
	const struct finding_kind *kinds; /* of findings */
	unsigned int kind_count;
	unsigned int crash; /* the finding: a process ended otherwise than it was told to */
	int (*judge)(struct trial *trial); /* the whole history: 0 or a negative errno */
	void (*summarize)(
		const struct verdict *verdict); /* prints the counts, without an end of line */
};

/* 0, or a negative errno: then it judged nothing. */
int history_judge(const struct history *history, const struct judge *judge,
		  struct verdict *ret_verdict);

/* All instances that wrote a log, in turn. Stops at the first error, and returns it. */
int trial_instances(struct trial *trial, int (*fn)(struct trial *trial));

void trial_set(struct trial *trial, const struct record *record);

/* Counts a finding at the trial's record. True for the first ones of its kind: the beginning of
 * their line is printed, and the caller prints the rest. */
bool trial_find(const struct trial *trial, unsigned int finding);

/* How long its process could run within a time; and whether that was longer than BOUND_NS. */
uint64_t trial_ran(const struct trial *trial, uint64_t from, uint64_t to);
bool trial_long(const struct trial *trial, uint64_t from, uint64_t to);

/* main() of a checker. */
int check_main(int argc, char **argv, const struct judge *judge);
