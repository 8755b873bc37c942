// SPDX-License-Identifier: MIT
/*
 * A row of fence-bench compares two sides that do the same work, ours and the raw primitive, in
 * alternating rounds; or it measures a single value. The bench is one process with one thread; a side
 * forks the other processes that it needs (member.h).
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
	size_t dropped; /* discarded, since a process that had to sleep did not */
};

struct row;

/* One side. `round` adds at most `count` samples. `open` and `round` return 0 or what bench_fail() or
 * bench_skip() returned. `close` frees the state that `open` made. */
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
	/* ROW_VALUE; the note has REASON_SIZE bytes */
	int (*measure)(double *ret_value, char *ret_note);
	unsigned int samples; /* per round; 0: 30 */
	unsigned int share;   /* percent of the usual rounds; 0: all */
	unsigned int batch;   /* operations per sample; 0: 1 */
	unsigned int pairs;
	unsigned int think_ns;
	bool cold;      /* evict the caches before each sample */
	bool other_uid; /* the partner is another user */
	bool below;     /* met when below the target; equal is a miss */
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

/* Record why a row has no figures. Skip: this machine lacks something, -ECANCELED. Fail: -EIO. */
int bench_skip(const char *format, ...) __attribute__((format(printf, 1, 2)));
int bench_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
const char *bench_reason(void);

int samples_add(struct samples *samples, double value);
void samples_finish(struct samples *samples);
void samples_sort(struct samples *samples);
double samples_quantile(const struct samples *sorted, double quantile);

/* Called before each round. */
typedef void row_progress_fn(const struct row *row, unsigned int round, unsigned int rounds);

void row_run(const struct row *row, row_progress_fn *progress, struct result *ret_result);
void result_finish(struct result *result);

/* For --selfcheck: is the ratio 1.00 +- 0.05? */
bool result_is_one(const struct result *result);
