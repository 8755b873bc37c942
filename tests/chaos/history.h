// SPDX-License-Identifier: MIT
/*
 * The history of a stress run, from the logs alone: signals with their times; who was stopped,
 * killed or left. Read once, then only asked. Owned by the checker; one thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "record.h"

#define NEVER UINT64_MAX

struct history_signal {
	uint64_t value;
	uint64_t begin; /* the earliest of all that are at least `value` */
	uint64_t end;   /* the same; NEVER: none of them is known to have been done */
};

struct history_line {
	struct history_signal *signals; /* by value */
	size_t count, capacity;
	uint64_t created;
	uint64_t closed_begin, closed_end; /* NEVER: it was not */
	/* What the results of waits say of it. */
	uint64_t reached, failed; /* the largest point reached, and the smallest failed */
};

struct history_span {
	uint64_t begin, end;
};

struct history_spans {
	struct history_span *spans;
	size_t count, capacity;
};

struct history_instance {
	struct record_header *header; /* NULL: there is no log of it */
	const struct record *records;
	size_t count;
	size_t size;
	struct history_line *lines[256];
	struct history_spans stops;
	struct history_span killed, left; /* NEVER: it was not, did not */
	bool crashed;
	int status;
};

struct history {
	struct history_spans
		lags; /* when a CPU kept a ready thread waiting; sorted, without overlaps */
	struct history_instance *instances; /* by number; 0 is the driver */
	uint32_t count;
};

/* Loads all logs of a directory. Prints what is wrong with them; 0 or a negative errno. */
int history_load(struct history *history, const char *directory);
void history_free(struct history *history);

/* When the record ended; NEVER: it did not. */
uint64_t record_done(const struct record *record);

/* An array with room for `needed` elements; new ones are zero. NULL without memory: the array stays
 * as it is. */
void *grow(void *array, size_t needed, size_t *capacity, size_t size);

static inline uint64_t earlier(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static inline uint64_t later(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* NULL: no process created it. */
struct history_line *history_line(const struct history *history, uint32_t id);

/* The earliest time at which a point was reached (a signal of such a value began), and the latest
 * (one was done). NEVER: no such signal. */
uint64_t line_begun(const struct history_line *line, uint64_t point);
uint64_t line_done(const struct history_line *line, uint64_t point);

/* The latest time at which the timeline failed; NEVER: it need not have. */
uint64_t history_failed_by(const struct history *history, uint32_t id);

/* Whether it may have failed with this error by then. */
bool history_may_fail(const struct history *history, uint32_t id, int error, uint64_t when);

/* How much of this time the process could run: neither stopped, nor kept waiting for a CPU. */
uint64_t history_ran(const struct history *history, const struct history_instance *instance,
		     uint64_t from, uint64_t to);
