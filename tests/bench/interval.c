// SPDX-License-Identifier: MIT
#include "interval.h"

#include <errno.h>
#include <stdlib.h>

#define TAIL        ((1 - INTERVAL_LEVEL) / 2)
#define RANK_SUM(n) ((n) * ((n) + 1) / 2)

size_t interval_rank(size_t count)
{
	/* chances[s]: that the ranks 1 to n, each taken or not by the toss of a coin, add up to s */
	static double chances[RANK_SUM(INTERVAL_COUNT_MAX) + 1];
	size_t sum = 0;
	chances[0] = 1;
	for (size_t rank = 1; rank <= count; rank++) {
		for (size_t s = sum + 1; s <= sum + rank; s++) {
			chances[s] = 0;
		}
		sum += rank;
		for (size_t s = sum + 1; s-- > 0;) {
			chances[s] = (chances[s] + (s >= rank ? chances[s - rank] : 0)) / 2;
		}
	}
	size_t rank = 0;
	for (double tail = chances[0]; tail <= TAIL; tail += chances[rank]) {
		rank++;
	}
	return rank;
}

static int double_compare(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;
	return (left > right) - (left < right);
}

int interval_of(const double *differences, size_t count, struct interval *ret_interval)
{
	if (count < INTERVAL_COUNT_MIN || count > INTERVAL_COUNT_MAX) {
		return -EINVAL;
	}
	size_t mean_count = RANK_SUM(count);
	double *means = calloc(mean_count, sizeof(*means));
	if (!means) {
		return -ENOMEM;
	}
	size_t filled = 0;
	for (size_t i = 0; i < count; i++) {
		for (size_t j = i; j < count; j++) {
			means[filled++] = (differences[i] + differences[j]) / 2;
		}
	}
	qsort(means, mean_count, sizeof(*means), double_compare);
	size_t rank = interval_rank(count);
	ret_interval->estimate = (means[(mean_count - 1) / 2] + means[mean_count / 2]) / 2;
	ret_interval->low = means[rank - 1];
	ret_interval->high = means[mean_count - rank];
	free(means);
	return 0;
}
