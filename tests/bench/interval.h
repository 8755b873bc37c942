// SPDX-License-Identifier: MIT
/*
 * How far apart two builds are: the Hodges-Lehmann estimate of paired differences (the median of the
 * means of all pairs of them), with the 95 % confidence interval of Wilcoxon's signed-rank test. It
 * assumes no distribution but that what disturbs a pair disturbs it symmetrically, and single pairs
 * that went wrong move it little. Pure arithmetic.
 */
#pragma once

#include <stddef.h>

#define INTERVAL_COUNT_MIN 6 /* fewer give no interval of 95 % */
#define INTERVAL_COUNT_MAX 200
#define INTERVAL_LEVEL     0.95

struct interval {
	double estimate;
	double low;
	double high;
};

/* Returns 0, -EINVAL when `count` is out of bounds, or -ENOMEM. */
int interval_of(const double *differences, size_t count, struct interval *ret_interval);

/* The interval ends at the means of this rank, counted from both ends from 1; `count` as above. */
size_t interval_rank(size_t count);
