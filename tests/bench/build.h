// SPDX-License-Identifier: MIT
/*
 * A build of fencebroker: the directory with its bin/fence-bench, bin/fencebrokerd and lib/. Its
 * fence-bench is run as a child process for one row at a time; the build may be an older one, so only
 * options and keys of JSON that have always been there are used.
 */
#pragma once

#include <limits.h>
#include <stddef.h>

#include "bench.h"

#define BUILD_NAME_SIZE 64

struct build {
	char directory[PATH_MAX];
	char version[BUILD_NAME_SIZE];      /* as it says itself */
	char (*row_names)[BUILD_NAME_SIZE]; /* that its fence-bench knows */
	size_t row_count;
};

/* What a child measured. */
struct figures {
	enum result_state state;
	char reason[REASON_SIZE]; /* of a skip or a failure */
	char unit[BUILD_NAME_SIZE];
	char kind[BUILD_NAME_SIZE]; /* `ratio_is` */
	double ours;
	double raw; /* 0: the row has none */
};

/* NULL: the build that this program belongs to. Returns 0 or an error with bench_reason(). Finish it
 * in both cases. */
int build_init(struct build *build, const char *directory);
void build_finish(struct build *build);

bool build_has_row(const struct build *build, const char *row);

/* bench_options decide how many rounds. What goes wrong is in the figures' state and reason. */
void build_measure(const struct build *build, const char *row, struct figures *ret_figures);
