// SPDX-License-Identifier: MIT
/*
 * Runs the processes of a run, and torments them: SIGSTOP and SIGCONT, SIGKILL and a new one in its place. What
 * they are and how much of that they suffer, the kind of run says. Writes a log of its own: what it did to whom, and
 * who ended for no such reason. One thread.
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

/* The kind of run. Processes have places: first those that are tormented, and started anew when they ended; then
 * those that are only killed at the end. Of the first, the first ones send words with fds. */
struct driver_kind {
	unsigned int places, tormented, senders;
	int tick_ms;
	uint64_t end_ms; /* a process that takes so long to end hangs */

	/* Whether there is to be a process at this place. */
	bool (*used)(const struct driver *driver, unsigned int place);
	/* The process's main(), in the child; `socket` leads to the driver. */
	int (*play)(const struct driver *driver, unsigned int place, int socket);
	void (*starting)(struct driver *driver, unsigned int place); /* before; NULL: nothing */
	void (*started)(struct driver *driver, unsigned int place);
	/* It ended, and was waited for. NULL: nothing. */
	void (*ended)(struct driver *driver, unsigned int place);
	/* It sent this. The fd is the kind's from here on. */
	void (*word)(struct driver *driver, unsigned int place, uint64_t word, int fd);

	uint64_t (*work)(const struct driver *driver); /* done up to now */
	bool (*over)(struct driver *driver);
	void (*torment)(struct driver *driver);
	void (*drain)(struct driver *driver); /* tells all to end, once what is under way is done */
};

/* `driver` is all zero but for what the kind has set. */
void driver_run(struct driver *driver, const struct driver_kind *kind, const struct run *run);

/* For the kinds. A stopped process goes on after that time. */
void driver_stop(struct driver *driver, unsigned int place, uint64_t us);
void driver_kill(struct driver *driver, unsigned int place);

/* Sends a word with an fd; a process that is gone, or stopped with a full socket, does without. */
void driver_send(const struct driver *driver, unsigned int place, uint64_t word, int fd);

/* One turn: lets those go on whose time has come, replaces those that ended, and takes what they sent. */
void driver_tick(struct driver *driver);
