// SPDX-License-Identifier: MIT
/*
 * A run: a daemon, clients under torment, and the checker over their logs. This is what runs with
 * points and runs with exchanges have in common: options, logs, start and end. Owned by its main();
 * one thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/integration/lib-daemon.h"

/* Constant once the run goes; its processes have it too. */
struct run {
	const struct daemon *daemon;
	const char *logs;
	uint64_t seed;
	uint64_t pause_us;   /* the longest pause between two pieces of work */
	size_t log_capacity; /* records of a client */
	const char *policy;  /* as of daemon_serve() */
};

/* Options of every kind of run. */
struct run_options {
	uint64_t seed;
	const char *keep; /* a directory for the logs; NULL: a new one, removed at the end */
};

extern struct run_options run_options;

/* An option of one kind: it takes a number or, if `number` is NULL, sets `flag`. */
struct run_option {
	const char *name, *help;
	const char *argument; /* the name of its argument */
	uint64_t *number;
	uint64_t quick, soak; /* its default, without and with $FBK_SOAK; 0: none */
	bool positive;        /* 0 is refused */
	bool *flag;
};

struct run_kind {
	const char *program, *suite, *purpose;
	const char *checker;
	const struct run_option *options;
	size_t option_count;
	void (*add)(TCase *tcase);
};

/* main() of a run. */
int run_main(const struct run_kind *kind, int argc, char **argv);

/* Fills in `run`, with room for that many bytes of logs, and starts the daemon. */
void run_begin(struct run *run, struct daemon *daemon, uint64_t log_room);

/* Runs the checker. The test fails with findings; or, if they are expected, without. */
void run_check(const struct run_kind *kind, const struct run *run, bool expect_findings);

/* Removes the logs, unless --keep was given. */
void run_end(void);
