// SPDX-License-Identifier: MIT
/*
 * Runs the processes of a run, and torments them: SIGSTOP and SIGCONT, SIGKILL and a new process in
 * its place. The kind of run says what the processes are, and how often they are stopped and
 * killed. The driver writes a log of its own: its stops and kills, and the processes that crashed.
 * One thread.
 */
#pragma once

#include "dice.h"
#include "journal.h"
#include "run.h"
#include "tests/integration/lib-peer.h"

#define DRIVER_PLACES 16

struct process {
	struct peer peer; /* pid 0: none */
	uint32_t instance;
	struct record *stop; /* while it is stopped */
	uint64_t resume_ns;
	bool leaving; /* it was told to end */
};

struct driver_report {
	uint64_t work; /* signals made, or frames handed over */
	uint64_t kills, stops, crashes;
	uint64_t ms;
};

struct driver {
	const struct driver_kind *kind;
	const struct run *run;
	struct journal journal;
	struct dice dice;
	struct process processes[DRIVER_PLACES]; /* by place */
	uint32_t instances;
	struct driver_report report;
};

/* The kind of run. Each process has a place. The first `tormented` places are stopped and killed,
 * and started anew after the process ended; the processes at the others are killed at the end of
 * the run. The first `senders` places send words with fds. */
struct driver_kind {
	unsigned int places, tormented, senders;
	int tick_ms;
	uint64_t end_ms; /* a process that takes longer to end hangs */

	/* Whether this run has a process at that place. */
	bool (*used)(const struct driver *driver, unsigned int place);
	/* The process's main(), in the child; `socket` leads to the driver. */
	int (*play)(const struct driver *driver, unsigned int place, int socket);
	void (*starting)(struct driver *driver, unsigned int place); /* before it; NULL: nothing */
	void (*started)(struct driver *driver, unsigned int place);
	/* The process ended, and its status was collected. NULL: nothing. */
	void (*ended)(struct driver *driver, unsigned int place);
	/* The process sent this. The kind owns the fd from here on. */
	void (*word)(struct driver *driver, unsigned int place, uint64_t word, int fd);

	uint64_t (*work)(const struct driver *driver); /* done up to now */
	bool (*over)(struct driver *driver);
	void (*torment)(struct driver *driver);
	void (*drain)(struct driver *driver); /* tells all to end, after what is under way */
};

/* `driver` is all zero, apart from what the kind has set. */
void driver_run(struct driver *driver, const struct driver_kind *kind, const struct run *run);

/* For the kinds: stop a process for `us`; kill it. */
void driver_stop(struct driver *driver, unsigned int place, uint64_t us);
void driver_kill(struct driver *driver, unsigned int place);

/* Sends a word with an fd. A process that died, or is stopped with a full socket, does not get
 * it. */
void driver_send(const struct driver *driver, unsigned int place, uint64_t word, int fd);

/* One turn: continues processes whose stop is over, replaces those that ended, takes what they
 * sent. */
void driver_tick(struct driver *driver);
