// SPDX-License-Identifier: MIT
/*
 * --against: this build and another one, run in turns, row by row. In each pair both builds measure the
 * row once, each in a process of its own; the next pair begins with the other build. What is compared
 * is `ours`; the raw primitive, which no build changes, tells whether the machine held still.
 */
#pragma once

#include "bench.h"
#include "build.h"
#include "interval.h"

#define AGAINST_PAIRS  20
#define AGAINST_MARGIN 5.0 /* percent: what another layout of the same code moves */

struct against {
	const char *directory; /* of the other build; NULL: no comparison is wanted */
	unsigned int pairs;    /* INTERVAL_COUNT_MIN to _MAX */
	double margin;         /* percent; 0 or more */
	bool json;
	char **names; /* rows; none: all */
	int name_count;
};

enum verdict { VERDICT_NOT_WORSE, VERDICT_WORSE, VERDICT_UNCLEAR };

/* Of a row. Ratios are the new build's time / the old one's, and for rates the other way round: above 1
 * is always slower. */
struct comparison {
	const char *name;
	const struct row *row; /* NULL: only the other build has it */
	enum result_state state;
	char reason[REASON_SIZE]; /* of a skip or a failure */
	char unit[BUILD_NAME_SIZE];
	unsigned int pairs;
	unsigned int lost; /* pairs in which a build had no figure */
	double old, new;   /* medians over the pairs */
	struct interval ratio;
	struct interval raw; /* where has_raw */
	bool has_raw;
	bool raw_moved;
	enum verdict verdict;
};

/* Measures and prints; returns the exit status. */
int against_run(const struct against *against);

const char *comparison_verdict(const struct comparison *comparison);

void against_table(const struct against *against, const struct build builds[2],
		   const struct comparison *comparisons, size_t count);
int against_json(const struct against *against, const struct build builds[2],
		 const struct comparison *comparisons, size_t count);
