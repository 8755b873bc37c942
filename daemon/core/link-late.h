// SPDX-License-Identifier: MIT
/*
 * Whether a link stands still, from the times in its tables: for blame and inspection. Nobody waits for the daemon there, so
 * the tables are all that is known; they may lie, as link-table.h says. Loop's thread only.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "link.h"

/* How the producer has handed frames over. */
struct link_pace {
	uint64_t last_ns;  /* when it did last; 0: not known */
	uint64_t every_ns; /* one frame, of those in the table; 0: not known */
};
struct link_pace link_pace(const struct link *link);

/* The producer has nothing to draw into: each buffer is at the consumer, or has a release point that is not decided. */
bool link_is_full(const struct link *link);

/* No frame for much longer than the pace that its producer kept; and at least LINK_LATE_MIN_NS, since frames may come in
 * bursts. Then its consumer is late if the link is full. */
#define LINK_LATE_FACTOR 4
#define LINK_LATE_MIN_NS NS_PER_S
bool link_producer_late(const struct link *link);
bool link_consumer_late(const struct link *link);
