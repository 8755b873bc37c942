// SPDX-License-Identifier: MIT
/*
 * An import: a point of a brokered timeline that follows kernel fences. Points are given in rising
 * order and reached in that order: a point whose fences signal early waits for the points before it.
 * Owned by the timeline; charged to the user that asked. Loop's thread only.
 */
#pragma once

#include <bsd/sys/queue.h>
#include <stdbool.h>
#include <stdint.h>

#include "daemon/core/handle.h"
#include "notifier.h"

/* One fence of an import. */
struct import_part {
	struct import *import;
	int fd; /* classified; -1: done */
	const struct notifier *notifier;
	void *notifier_state;
};

struct import {
	struct source source; /* on the timeline's list, by value */
	struct timeline *timeline;
	uint64_t value;
	uint64_t since_ns;
	bool decided;
	bool reserved;        /* charged with its timeline: timeline_reserve() */
	bool refused;         /* it fails its timeline */
	char *reason;         /* why it failed; NULL: not known */
	int result;           /* error of the first fence that failed */
	unsigned int waiting; /* fences that have not signalled */
	unsigned int count;   /* of parts; 0: a signal by request */
	struct graph_edges
		waits; /* for the points behind these fences, where the daemon knows them */
	struct wheel_timer deadline;
	struct charge charge;
	struct charge fd_charge;
	struct import_part parts[];
};

/* The fences of an import; each fd was classified as of its kind. */
struct import_fences {
	const int *fds;
	const int *kinds;
	unsigned int count;
	uint64_t syncobj_point; /* where the only fence is a syncobj */
};

/* The point `value` is reached when all fences have signalled. Takes the fds when it succeeds.
 * -EDEADLK: one of them is a fence of this daemon, whose point waits for `value`. */
int import_create(struct translator *translator, struct handle *handle, uint64_t value,
		  const struct import_fences *fences, char *detail);

/* Signal the point by request: it is reached once all points before it are. */
int import_signal(struct handle *handle, uint64_t value);

/* The point `value`, above those given before, will never be signalled, since its request was refused: the timeline fails
 * with that error once the points before it are decided, and takes no more. */
void import_refuse(struct handle *handle, uint64_t value, int error, const char *reason);

/* The import for which `value` waits next; NULL: `value` was not given, or no fence is pending. */
const struct import *import_pending(const struct timeline *timeline, uint64_t value);

/* The point that this import follows, where its first pending fence is one of this daemon's; else without a timeline. */
struct graph_point import_behind(const struct import *import);

/* The wait of a brokered timeline, by its signaler's handle: for the fences of its next point. */
struct wait import_wait(const struct handle *handle);
