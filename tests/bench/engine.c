// SPDX-License-Identifier: MIT
/* Runs a row: both sides in turns, then the statistics of their samples. */
#include "bench.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROUNDS          101
#define ROUNDS_QUICK    11
#define ROUNDS_MIN      5
#define WARM_UP_ROUNDS  3
#define SAMPLES         30
#define SELFCHECK_SLACK 0.05

static char reason_text[REASON_SIZE];

int bench_skip(const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(reason_text, sizeof(reason_text), format, arguments);
	va_end(arguments);
	return -ECANCELED;
}

int bench_fail(const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(reason_text, sizeof(reason_text), format, arguments);
	va_end(arguments);
	return -EIO;
}

const char *bench_reason(void)
{
	return reason_text;
}

/* ---------------------------------------------------------------------------------- samples -- */

int samples_add(struct samples *samples, double value)
{
	if (samples->count == samples->room) {
		size_t room = samples->room ? samples->room * 2 : 256;
		double *values = reallocarray(samples->values, room, sizeof(double));
		if (!values) {
			return bench_fail("no memory for samples");
		}
		samples->values = values;
		samples->room = room;
	}
	samples->values[samples->count++] = value;
	return 0;
}

void samples_finish(struct samples *samples)
{
	free(samples->values);
	*samples = (struct samples){ 0 };
}

static int double_compare(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;
	return (left > right) - (left < right);
}

void samples_sort(struct samples *samples)
{
	if (samples->count > 0) {
		qsort(samples->values, samples->count, sizeof(double), double_compare);
	}
}

double samples_quantile(const struct samples *sorted, double quantile)
{
	if (sorted->count == 0) {
		return 0;
	}
	double place = quantile * (double)(sorted->count - 1);
	size_t below = (size_t)place;
	size_t above = below + 1 < sorted->count ? below + 1 : below;
	double part = place - (double)below;
	return sorted->values[below] * (1 - part) + sorted->values[above] * part;
}

/* ------------------------------------------------------------------------------------ rounds -- */

/* One side while its row runs. */
struct lane {
	const struct side *side;
	void *state;
	struct samples all;     /* of all rounds */
	struct samples medians; /* one per round */
};

static int lane_open(struct lane *lane, const struct side *side, const struct row *row)
{
	int r = side->open(row, &lane->state);
	lane->side = r == 0 ? side : NULL;
	return r;
}

static void lane_finish(struct lane *lane)
{
	if (lane->side) {
		lane->side->close(lane->state);
	}
	samples_finish(&lane->all);
	samples_finish(&lane->medians);
}

/* Runs one round. Its median is -1 when all samples were dropped. */
static int lane_round(struct lane *lane, unsigned int count, bool keep, double *ret_median)
{
	struct samples samples = { 0 };
	int r = lane->side->round(lane->state, count, &samples);
	for (size_t i = 0; r == 0 && keep && i < samples.count; i++) {
		r = samples_add(&lane->all, samples.values[i]);
	}
	if (keep) {
		lane->all.dropped += samples.dropped;
	}
	samples_sort(&samples);
	*ret_median = samples.count > 0 ? samples_quantile(&samples, 0.5) : -1;
	samples_finish(&samples);
	return r;
}

static unsigned int row_rounds(const struct row *row)
{
	unsigned int rounds = bench_options.rounds;
	if (rounds == 0) {
		rounds = bench_options.quick ? ROUNDS_QUICK : ROUNDS;
		rounds = row->share ? rounds * row->share / 100 : rounds;
		rounds = rounds < ROUNDS_MIN ? ROUNDS_MIN : rounds;
	}
	return rounds;
}

static double row_ratio(const struct row *row, double ours, double raw)
{
	return row->kind == ROW_FASTER ? raw / ours : ours / raw;
}

/* The sides alternate in who is first, so that drift of the machine affects both equally. */
static int rounds_run(const struct row *row, struct lane lanes[2], row_progress_fn *progress,
		      struct samples *ratios)
{
	unsigned int rounds = row_rounds(row);
	unsigned int count = row->samples ? row->samples : SAMPLES;
	for (unsigned int round = 0; round < rounds + WARM_UP_ROUNDS; round++) {
		bool keep = round >= WARM_UP_ROUNDS;
		double medians[2];
		progress(row, keep ? round - WARM_UP_ROUNDS : 0, rounds);
		for (unsigned int turn = 0; turn < 2; turn++) {
			unsigned int which = (round + turn) % 2;
			int r = lane_round(&lanes[which], count, keep, &medians[which]);
			if (r < 0) {
				return r;
			}
		}
		if (!keep || medians[0] < 0 || medians[1] < 0) {
			continue;
		}
		int r = samples_add(ratios, row_ratio(row, medians[0], medians[1]));
		for (unsigned int which = 0; r == 0 && which < 2; which++) {
			r = samples_add(&lanes[which].medians, medians[which]);
		}
		if (r < 0) {
			return r;
		}
	}
	return 0;
}

static bool target_met(const struct row *row, double value)
{
	if (row->kind == ROW_FASTER || row->kind == ROW_RATE) {
		return value >= row->target;
	}
	return row->below ? value < row->target : value <= row->target;
}

static int lanes_judge(struct lane lanes[2], struct samples *ratios, struct result *result)
{
	for (unsigned int which = 0; which < 2; which++) {
		struct samples *all = &lanes[which].all;
		if (all->dropped > all->count) {
			return bench_skip("in %zu of %zu samples of %s somebody did not sleep",
					  all->dropped, all->dropped + all->count,
					  which == 0 ? "ours" : "the raw one");
		}
		samples_sort(all);
		samples_sort(&lanes[which].medians);
	}
	samples_sort(ratios);
	result->rounds = (unsigned int)ratios->count;
	result->ours = samples_quantile(&lanes[0].medians, 0.5);
	result->raw = samples_quantile(&lanes[1].medians, 0.5);
	result->ours_p99 = samples_quantile(&lanes[0].all, 0.99);
	result->raw_p99 = samples_quantile(&lanes[1].all, 0.99);
	result->ratio = samples_quantile(ratios, 0.5);
	result->ratio_low = samples_quantile(ratios, 0.25);
	result->ratio_high = samples_quantile(ratios, 0.75);
	result->ours_samples = lanes[0].all;
	result->raw_samples = lanes[1].all;
	lanes[0].all = lanes[1].all = (struct samples){ 0 };
	return 0;
}

static int pair_run(const struct row *row, row_progress_fn *progress, struct result *result)
{
	struct lane lanes[2] = { 0 };
	struct samples ratios = { 0 };
	/* Raw first: it forks, and its children should not inherit our connections. */
	int r = lane_open(&lanes[1], row->raw, row);
	if (r == 0) {
		r = lane_open(&lanes[0], bench_options.selfcheck ? row->raw : row->ours, row);
	}
	if (r == 0) {
		r = rounds_run(row, lanes, progress, &ratios);
	}
	if (r == 0) {
		r = lanes_judge(lanes, &ratios, result);
	}
	result->met = r == 0 && target_met(row, result->ratio);
	lane_finish(&lanes[0]);
	lane_finish(&lanes[1]);
	samples_finish(&ratios);
	return r;
}

static int value_run(const struct row *row, row_progress_fn *progress, struct result *result)
{
	if (bench_options.selfcheck) {
		return bench_skip("there is nothing to check it against");
	}
	progress(row, 0, 1);
	int r = row->measure(&result->ours, result->note);
	result->rounds = 1;
	result->met = r == 0 && target_met(row, result->ours);
	return r;
}

void row_run(const struct row *row, row_progress_fn *progress, struct result *ret_result)
{
	*ret_result = (struct result){ .row = row };
	reason_text[0] = '\0';
	int r = row->kind == ROW_VALUE ? value_run(row, progress, ret_result)
				       : pair_run(row, progress, ret_result);
	ret_result->state = r == 0 ? RESULT_DONE : r == -ECANCELED ? RESULT_SKIPPED : RESULT_FAILED;
	memcpy(ret_result->reason, reason_text, sizeof(reason_text));
}

void result_finish(struct result *result)
{
	samples_finish(&result->ours_samples);
	samples_finish(&result->raw_samples);
}

bool result_is_one(const struct result *result)
{
	return result->ratio >= 1 - SELFCHECK_SLACK && result->ratio <= 1 + SELFCHECK_SLACK;
}
