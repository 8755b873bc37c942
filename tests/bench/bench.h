// SPDX-License-Identifier: MIT
/*
 * What a row of fence-bench is, and how it is measured: two sides that do the same work, ours and
 * the raw primitive, round after round in turns; or a single value. One process, one thread, and
 * the members that a side forks (member.h).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REASON_SIZE 256

struct samples {
	double *values; /* nanoseconds, or the row's unit */
	size_t count;
	size_t room;
	size_t dropped; /* not counted, because somebody did not sleep */
};

struct row;

/* One side. `round` adds up to `count` samples; all return 0 or a negative errno, with a reason from
 * bench_fail() or bench_skip(). `close` takes what `open` gave. */
struct side {
	const char *what;
	int (*open)(const struct row *row, void **ret_state);
	int (*round)(void *state, unsigned int count, struct samples *samples);
	void (*close)(void *state);
};

enum row_kind {
	ROW_RATIO,  /* ours / raw, at most the target */
	ROW_FASTER, /* raw / ours, at least the target */
	ROW_RATE,   /* ours / raw of rates, at least the target */
	ROW_VALUE,  /* a value of ours alone, at most the target */
};

struct row {
	const char *name;
	const char *title;
	const char *unit;
	enum row_kind kind;
	double target;
	const struct side *ours; /* all kinds but ROW_VALUE */
	const struct side *raw;
	int (*measure)(double *ret_value, char *ret_note); /* ROW_VALUE; the note: REASON_SIZE */
	unsigned int samples;                              /* in a round; 0: 30 */
	unsigned int share; /* percent of the rounds asked for; 0: all */
	unsigned int batch; /* operations in a sample; 0: 1 */
	unsigned int pairs;
	unsigned int think_ns;
	bool cold;      /* stream through memory before each sample */
	bool other_uid; /* the partner is another user */
	bool below;     /* less than the target, not at most */
};

enum result_state { RESULT_DONE, RESULT_SKIPPED, RESULT_FAILED };

struct result {
	const struct row *row;
	enum result_state state;
	char reason[REASON_SIZE]; /* of a skip or a failure */
	char note[REASON_SIZE];
	double ours, ours_p99;
	double raw, raw_p99;
	double ratio, ratio_low, ratio_high; /* median and quartiles of the rounds' ratios */
	unsigned int rounds;
	struct samples ours_samples, raw_samples; /* sorted */
	bool met;
};

struct options {
	bool quick;
	bool selfcheck;
	unsigned int rounds; /* 0: by default */
};

extern struct options bench_options;
extern const struct row bench_rows[];
extern const size_t bench_row_count;

const struct row *row_find(const char *name); /* NULL: there is none */

/* The reason why a row has no figures; returns -ECANCELED (not here) or -EIO (broken). */
int bench_skip(const char *format, ...) __attribute__((format(printf, 1, 2)));
int bench_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
const char *bench_reason(void);

int samples_add(struct samples *samples, double value);
void samples_finish(struct samples *samples);
void samples_sort(struct samples *samples);
double samples_quantile(const struct samples *sorted, double quantile);

/* Told before each round, for progress. */
typedef void row_progress_fn(const struct row *row, unsigned int round, unsigned int rounds);

void row_run(const struct row *row, row_progress_fn *progress, struct result *ret_result);
void result_finish(struct result *result);

/* Ratio rows of a self-check: 1.00 +- 0.05. */
bool result_is_one(const struct result *result);
