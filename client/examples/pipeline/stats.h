// SPDX-License-Identifier: MIT
/*
 * What a process of the pipeline counted, and its file. A hand-over's latency runs from the later
 * of "the point was signalled" and "the consumer began to wait" until the consumer goes on: what the
 * machinery costs, not how long the other one took. One thread at a time.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "histogram.h"

struct handover {
	const char *name;
	const char *route; /* from what is signalled to what is waited for */
	const char *peer;  /* stage that signals; NULL: the report knows */
	const char *way;   /* "acquire" or "release"; with a peer */
	uint64_t count;
	uint64_t waited; /* the consumer was there first */
	struct histogram latency;
};

void handover_note(struct handover *handover, uint64_t began, uint64_t signalled, uint64_t ended);

#define STATS_COUNTS(X)                                                \
	X(frames, "frames that went through")                          \
	X(waits, "points waited for")                                  \
	X(exports, "points exported as a fence, once they were due")   \
	X(promises, "points asked for as a fence before that")         \
	X(imports, "fences imported as a point")                       \
	X(signals, "points signalled in memory")                       \
	X(device_signals, "points that a device's commands signal")    \
	X(checks, "frame numbers compared")                            \
	X(mismatches, "frame numbers that were not the expected ones") \
	X(dropped, "frames that a capture device left out")            \
	X(bytes, "bytes put out")                                      \
	X(buffers, "buffers of its own")

#define STATS_HANDOVERS 6

/* What drew. Without a name: nothing did. */
struct drawn_by {
	char name[256];
	bool vulkan;
	bool software;    /* threads of the process */
	const char *said; /* what it is, and why it is not another one, for people */
};

struct stats {
#define X(name, what) uint64_t name;
	STATS_COUNTS(X)
#undef X
	uint64_t first, last; /* when the first and the last frame were through */
	struct drawn_by drawn_by;
	struct handover handovers[STATS_HANDOVERS]; /* without a name: not there */
};

/* One more frame is through. */
void stats_frame(struct stats *stats);

/* Write them as JSON; `why` is the reason it stopped for, "" when it did all its work. */
int stats_write(const struct stats *stats, const char *path, const char *process, const char *why);
