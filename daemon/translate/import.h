// SPDX-License-Identifier: MIT
/*
 * An import: a point of a brokered timeline that follows kernel fences. Points are given in rising
 * order and reached in that order: one whose fences signal early waits for those before it. Owned by
 * the timeline; charged to who asked. Loop's thread only.
 */
#pragma once

#include <bsd/sys/queue.h>
#include <stdbool.h>
#include <stdint.h>

#include "daemon/core/handle.h"
#include "notifier.h"

/* One fence of it. */
struct import_part {
	struct import *import;
	int fd; /* classified; -1: done */
	const struct notifier *notifier;
	void *notifier_state;
};

struct import {
	struct source source; /* of the timeline, by value */
	struct timeline *timeline;
	uint64_t value;
	uint64_t since_ns;
	bool decided;
	int result;               /* of the first fence that failed */
	unsigned int waiting;     /* fences that have not signalled */
	unsigned int count;       /* of parts; 0 for a signal by request */
	struct graph_edges waits; /* for points that the daemon knows these fences to be of */
	struct wheel_timer deadline;
	struct charge charge;
	struct charge fd_charge;
	struct import_part parts[];
};

/* What it follows; each fd classified as of its kind. */
struct import_fences {
	const int *fds;
	const int *kinds;
	unsigned int count;
	uint64_t syncobj_point; /* where the only one is a syncobj's */
};

/* The point `value` is reached when all of them have signalled. Takes the fds when it succeeds.
 * -EDEADLK: one of them is a fence of ours, whose point waits for this one. */
int import_create(struct translator *translator, struct handle *handle, uint64_t value,
		  const struct import_fences *fences, char *detail);

/* The point is signalled by request: it is reached once all before it are. */
int import_signal(struct handle *handle, uint64_t value);

/* The fences that `value` comes with have not all signalled; NULL: it was not given, or is reached. */
const struct import *import_pending(const struct timeline *timeline, uint64_t value);

/* What a brokered timeline waits for, where the handle is its signaler's: the fences of its next point. */
struct wait import_wait(const struct handle *handle);
