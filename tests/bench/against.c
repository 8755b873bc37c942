// SPDX-License-Identifier: MIT
#include "against.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "progress.h"

#define WARM_UP_PAIRS 1 /* reads both builds from the disk */
#define LOST_MAX      3

enum { OLD, NEW };

/* What the pairs of a row gave. */
struct pairs {
	unsigned int count;
	double ours[2][INTERVAL_COUNT_MAX];
	double raw[2][INTERVAL_COUNT_MAX];
};

/* ------------------------------------------------------------------------------------- pairs -- */

static int pair_lose(struct comparison *comparison, const char *side, const struct figures *figures)
{
	comparison->state = figures->state;
	snprintf(comparison->reason, sizeof(comparison->reason), "%s: %.200s", side,
		 figures->reason);
	return ++comparison->lost <= LOST_MAX ? 0 : -1;
}

/* Two builds may have different things under one name. */
static int pair_check(const struct figures figures[2], struct comparison *comparison)
{
	if (strcmp(figures[OLD].unit, figures[NEW].unit) == 0 &&
	    strcmp(figures[OLD].kind, figures[NEW].kind) == 0) {
		return 0;
	}
	comparison->state = RESULT_SKIPPED;
	snprintf(comparison->reason, sizeof(comparison->reason),
		 "the builds measure different things: %.50s in %.20s, and %.50s in %.20s",
		 figures[OLD].kind, figures[OLD].unit, figures[NEW].kind, figures[NEW].unit);
	return -1;
}

/* 0 also when the pair was lost. */
static int pair_run(const struct build builds[2], unsigned int turn, bool keep,
		    struct comparison *comparison, struct pairs *pairs)
{
	static const char *const sides[] = { [OLD] = "old", [NEW] = "new" };
	struct figures figures[2];
	for (unsigned int i = 0; i < 2; i++) {
		unsigned int which = (turn + i) % 2;
		build_measure(&builds[which], comparison->name, &figures[which]);
		if (figures[which].state != RESULT_DONE) {
			return pair_lose(comparison, sides[which], &figures[which]);
		}
	}
	if (pair_check(figures, comparison) < 0) {
		return -1;
	}
	memcpy(comparison->unit, figures[NEW].unit, sizeof(comparison->unit));
	for (unsigned int which = 0; keep && which < 2; which++) {
		pairs->ours[which][pairs->count] = figures[which].ours;
		pairs->raw[which][pairs->count] = figures[which].raw;
	}
	pairs->count += keep;
	return 0;
}

static int pairs_run(const struct against *against, const struct build builds[2],
		     struct comparison *comparison, struct pairs *pairs)
{
	/* A value that the machine does not disturb needs no more. */
	unsigned int wanted =
		comparison->row->kind == ROW_VALUE ? INTERVAL_COUNT_MIN : against->pairs;
	for (unsigned int turn = 0; pairs->count < wanted; turn++) {
		progress_show(comparison->name, "pair", pairs->count, wanted);
		if (pair_run(builds, turn, turn >= WARM_UP_PAIRS, comparison, pairs) < 0) {
			return -1;
		}
	}
	return 0;
}

/* --------------------------------------------------------------------------------- judgement -- */

static int double_compare(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;
	return (left > right) - (left < right);
}

static double median_of(const double *values, size_t count)
{
	double sorted[INTERVAL_COUNT_MAX];
	memcpy(sorted, values, count * sizeof(*sorted));
	qsort(sorted, count, sizeof(*sorted), double_compare);
	return (sorted[(count - 1) / 2] + sorted[count / 2]) / 2;
}

static bool all_positive(double values[2][INTERVAL_COUNT_MAX], size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (values[OLD][i] <= 0 || values[NEW][i] <= 0) {
			return false;
		}
	}
	return true;
}

/* `added` to all values: there is no ratio to nothing. */
static int ratio_of(double values[2][INTERVAL_COUNT_MAX], size_t count, double added, bool rates,
		    struct interval *ret_ratio)
{
	double logs[INTERVAL_COUNT_MAX];
	for (size_t i = 0; i < count; i++) {
		double slower = (values[NEW][i] + added) / (values[OLD][i] + added);
		logs[i] = rates ? -log(slower) : log(slower);
	}
	int r = interval_of(logs, count, ret_ratio);
	ret_ratio->estimate = exp(ret_ratio->estimate);
	ret_ratio->low = exp(ret_ratio->low);
	ret_ratio->high = exp(ret_ratio->high);
	return r;
}

static void comparison_judge(const struct against *against, struct pairs *pairs,
			     struct comparison *comparison)
{
	double limit = 1 + against->margin / 100;
	bool rates = comparison->row->kind == ROW_RATE;
	double added = all_positive(pairs->ours, pairs->count) ? 0 : 1;
	int r = ratio_of(pairs->ours, pairs->count, added, rates, &comparison->ratio);
	comparison->has_raw = all_positive(pairs->raw, pairs->count);
	if (r == 0 && comparison->has_raw) {
		r = ratio_of(pairs->raw, pairs->count, 0, rates, &comparison->raw);
	}
	if (r < 0) {
		comparison->state = RESULT_FAILED;
		snprintf(comparison->reason, sizeof(comparison->reason), "%s", strerror(-r));
		return;
	}
	comparison->state = RESULT_DONE;
	comparison->reason[0] = '\0';
	comparison->pairs = pairs->count;
	comparison->old = median_of(pairs->ours[OLD], pairs->count);
	comparison->new = median_of(pairs->ours[NEW], pairs->count);
	comparison->raw_moved = comparison->has_raw &&
				(comparison->raw.low > limit || comparison->raw.high < 1 / limit);
	comparison->verdict = comparison->ratio.low > limit     ? VERDICT_WORSE
			      : comparison->ratio.high <= limit ? VERDICT_NOT_WORSE
								: VERDICT_UNCLEAR;
}

const char *comparison_verdict(const struct comparison *comparison)
{
	static const char *const verdicts[] = {
		[VERDICT_NOT_WORSE] = "not worse",
		[VERDICT_WORSE] = "WORSE",
		[VERDICT_UNCLEAR] = "unclear",
	};
	return comparison->state == RESULT_DONE      ? verdicts[comparison->verdict]
	       : comparison->state == RESULT_SKIPPED ? "skipped"
						     : "failed";
}

/* -------------------------------------------------------------------------------------- rows -- */

static bool name_wanted(const struct against *against, const char *name)
{
	for (int i = 0; i < against->name_count; i++) {
		if (strcmp(against->names[i], name) == 0) {
			return true;
		}
	}
	return against->name_count == 0;
}

static int names_check(const struct against *against, const struct build *old)
{
	for (int i = 0; i < against->name_count; i++) {
		const char *name = against->names[i];
		if (!row_find(name) && !build_has_row(old, name)) {
			fprintf(stderr, "fence-bench: neither build has a row %s\n", name);
			return 2;
		}
	}
	return 0;
}

static void row_compare(const struct against *against, const struct build builds[2],
			const char *name, struct comparison *ret_comparison)
{
	struct pairs pairs = { 0 };
	*ret_comparison = (struct comparison){ .name = name, .row = row_find(name) };
	if (!ret_comparison->row || !build_has_row(&builds[OLD], name)) {
		ret_comparison->state = RESULT_SKIPPED;
		snprintf(ret_comparison->reason, sizeof(ret_comparison->reason),
			 "only the %s build has this row", ret_comparison->row ? "new" : "old");
	} else if (pairs_run(against, builds, ret_comparison, &pairs) == 0) {
		comparison_judge(against, &pairs, ret_comparison);
	}
	progress_done(name, comparison_verdict(ret_comparison));
}

static bool comparisons_good(const struct comparison *comparisons, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (comparisons[i].state == RESULT_FAILED ||
		    (comparisons[i].state == RESULT_DONE &&
		     comparisons[i].verdict == VERDICT_WORSE)) {
			return false;
		}
	}
	return true;
}

/* Ours in their order, then what only the other build has. */
static int rows_compare(const struct against *against, const struct build builds[2])
{
	const struct build *old = &builds[OLD];
	size_t count = 0;
	struct comparison *comparisons =
		calloc(bench_row_count + old->row_count, sizeof(*comparisons));
	if (!comparisons) {
		return EXIT_FAILURE;
	}
	for (size_t i = 0; i < bench_row_count; i++) {
		if (name_wanted(against, bench_rows[i].name)) {
			row_compare(against, builds, bench_rows[i].name, &comparisons[count++]);
		}
	}
	for (size_t i = 0; i < old->row_count; i++) {
		if (!row_find(old->row_names[i]) && name_wanted(against, old->row_names[i])) {
			row_compare(against, builds, old->row_names[i], &comparisons[count++]);
		}
	}
	int r = 0;
	if (against->json) {
		r = against_json(against, builds, comparisons, count);
	} else {
		against_table(against, builds, comparisons, count);
	}
	bool good = r == 0 && comparisons_good(comparisons, count);
	free(comparisons);
	return good ? EXIT_SUCCESS : EXIT_FAILURE;
}

int against_run(const struct against *against)
{
	struct build builds[2] = { 0 };
	int status = 0;
	if (build_init(&builds[NEW], NULL) < 0 ||
	    build_init(&builds[OLD], against->directory) < 0) {
		fprintf(stderr, "fence-bench: %s\n", bench_reason());
		status = 2;
	}
	if (status == 0) {
		status = names_check(against, &builds[OLD]);
	}
	if (status == 0) {
		status = rows_compare(against, builds);
	}
	build_finish(&builds[OLD]);
	build_finish(&builds[NEW]);
	return status;
}
