// SPDX-License-Identifier: MIT
/*
 * A log-linear histogram of nanoseconds: HISTOGRAM_STEPS equal steps in every power of two, so a
 * quantile of any size is off by at most 1/HISTOGRAM_STEPS. A zeroed struct is empty. One
 * thread at a time.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define HISTOGRAM_STEPS   16
#define HISTOGRAM_BUCKETS (HISTOGRAM_STEPS * 61)

struct histogram {
	uint64_t count;
	uint64_t max;
	uint64_t buckets[HISTOGRAM_BUCKETS];
};

void histogram_add(struct histogram *histogram, uint64_t value);

/* The upper end of the bucket that contains this quantile (in thousandths), at most the largest value;
 * 0 if empty. */
uint64_t histogram_quantile(const struct histogram *histogram, unsigned int permille);

/* The smallest value that falls into this bucket. */
uint64_t histogram_bucket_start(size_t bucket);
