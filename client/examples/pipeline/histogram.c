// SPDX-License-Identifier: MIT
#include "histogram.h"

#define STEP_BITS 4
_Static_assert(HISTOGRAM_STEPS == 1 << STEP_BITS, "steps and their bits");
_Static_assert(HISTOGRAM_BUCKETS == (64 - STEP_BITS + 1) * HISTOGRAM_STEPS, "all of 64 bits");

/* The first HISTOGRAM_STEPS values have a bucket each; above, the highest bit and the STEP_BITS
 * below it choose. */
static size_t bucket_of(uint64_t value)
{
	if (value < HISTOGRAM_STEPS) {
		return (size_t)value;
	}
	unsigned int shift = 63u - (unsigned int)__builtin_clzll(value) - STEP_BITS;
	return (size_t)(value >> shift) + (size_t)shift * HISTOGRAM_STEPS;
}

uint64_t histogram_bucket_start(size_t bucket)
{
	if (bucket < HISTOGRAM_STEPS) {
		return bucket;
	}
	size_t shift = bucket / HISTOGRAM_STEPS - 1;
	return (uint64_t)(HISTOGRAM_STEPS + bucket % HISTOGRAM_STEPS) << shift;
}

void histogram_add(struct histogram *histogram, uint64_t value)
{
	histogram->buckets[bucket_of(value)]++;
	histogram->count++;
	if (value > histogram->max) {
		histogram->max = value;
	}
}

uint64_t histogram_quantile(const struct histogram *histogram, unsigned int permille)
{
	uint64_t wanted = (histogram->count * permille + 999) / 1000;
	uint64_t seen = 0;
	for (size_t bucket = 0; bucket + 1 < HISTOGRAM_BUCKETS && wanted > 0; bucket++) {
		seen += histogram->buckets[bucket];
		if (seen >= wanted) {
			uint64_t end = histogram_bucket_start(bucket + 1) - 1;
			return end < histogram->max ? end : histogram->max;
		}
	}
	return wanted > 0 ? histogram->max : 0;
}
