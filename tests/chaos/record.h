// SPDX-License-Identifier: MIT
/*
 * The logs of a stress run, which the checker reads. A file starts with a header; records of 64
 * bytes follow, in the order in which they were begun. Storing its kind publishes a record, storing
 * `end` publishes its end: a killed writer leaves no half-written record. Times are
 * CLOCK_MONOTONIC, in nanoseconds. A file has one writer, whose threads each write records of their
 * own; the meter writes to the driver's file too.
 */
#pragma once

#include <assert.h>
#include <stdatomic.h>
#include <stdint.h>

#define RECORD_MAGIC UINT64_C(0x314c414e52554f4a)

enum record_kind {
	RECORD_NONE = 0, /* its writer was killed before it was published */

	/* Of clients. `timeline` is (instance << 8) + a number that the instance counts up. */
	RECORD_SIGNAL = 1,  /* value; result */
	RECORD_CREATE = 2,  /* a timeline of its own */
	RECORD_CLOSE = 3,   /* the same; fails it for others */
	RECORD_LEAVE = 4,   /* disconnects: closes them all */
	RECORD_OPEN = 5,    /* somebody else's timeline; result */
	RECORD_WAIT = 6,    /* fbk_point_wait */
	RECORD_ANY = 7,     /* fbk_point_wait_any; `number` members follow, `index` is the answer */
	RECORD_ALL = 8,     /* fbk_point_wait_all; the same */
	RECORD_MEMBER = 9,  /* one of their points */
	RECORD_WATCH = 10,  /* from its arming to its callback */
	RECORD_EXPORT = 11, /* an eventfd, from its making until it is readable */

	/* Of the driver. `timeline` is the instance. */
	RECORD_STOP = 12,  /* from before SIGSTOP until after SIGCONT */
	RECORD_KILL = 13,  /* from before SIGKILL until its end was waited for */
	RECORD_CRASH = 14, /* it ended though it was not told to; result: its wait status */

	/* Of the meter. `index` is the CPU. */
	RECORD_LAG = 15, /* how long a ready thread waited for a CPU; only long ones */
};

enum record_flags {
	RECORD_SLEPT = 1 << 0,     /* the wait slept: the thread gave up the CPU */
	RECORD_CANCELLED = 1 << 1, /* a cancelled watch: it must not fire any more */
};

struct record {
	_Atomic uint8_t kind;
	uint8_t flags;
	uint8_t fires; /* watch: callbacks; export: what the eventfd added up to */
	uint8_t number;
	int32_t result;
	uint32_t timeline;
	uint32_t index;
	uint64_t value;
	uint64_t begin;
	_Atomic uint64_t end; /* 0: it never came to that */
	uint64_t deadline;
	uint64_t seen_begin; /* the timeline's value, read after `begin` ... */
	uint64_t seen_end;   /* ... and before `end` */
};

struct record_header {
	uint64_t magic;
	uint32_t instance; /* 0: the driver */
	uint32_t slot;
	_Atomic uint64_t count; /* records taken */
	uint64_t capacity;
	uint8_t reserved[32];
};

static_assert(sizeof(struct record) == 64, "one cache line");
static_assert(sizeof(struct record_header) == 64, "records are aligned");

#define RECORD_LINE(instance, number) ((instance) << 8 | (number))
#define RECORD_LINES_MAX              250 /* timelines of an instance */
