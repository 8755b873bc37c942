// SPDX-License-Identifier: MIT
/*
 * The counters of a process of the pipeline, and their file. A hand-over's latency runs from the later of
 * the signal and the start of the consumer's wait until the consumer goes on: the cost of the fences,
 * not of the producer's work. One thread at a time.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "histogram.h"

struct handover {
	const char *name;
	const char *route; /* signalled kind -> awaited kind */
	const char *peer;  /* the signaling stage; NULL: known to the report */
	const char *way;   /* "acquire" or "release"; with a peer */
	uint64_t count;
	uint64_t waited; /* times the consumer waited first */
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

/* The device that drew; no name: none. */
struct drawn_by {
	char name[256];
	bool vulkan;
	bool software;    /* threads of the process */
	const char *said; /* which device, and why not another, for people */
};

struct stats {
#define X(name, what) uint64_t name;
	STATS_COUNTS(X)
#undef X
	uint64_t first, last; /* times of the first and the last frame */
	struct drawn_by drawn_by;
	struct handover handovers[STATS_HANDOVERS]; /* no name: unused */
};

/* Count one more frame. */
void stats_frame(struct stats *stats);

/* Write them as JSON; `why` is the reason of an early stop, "" if there was none. */
int stats_write(const struct stats *stats, const char *path, const char *process, const char *why);
