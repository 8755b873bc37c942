// SPDX-License-Identifier: MIT
#include "wait.h"

#include "daemon/base/clock.h"

static const char *const way_names[] = {
	[WAIT_CELL] = "wait",     [WAIT_PAIR] = "pair wait",  [WAIT_WATCH] = "watch",
	[WAIT_EXPORT] = "export", [WAIT_PROMISE] = "promise", [WAIT_IMPORT] = "import",
	[WAIT_FRAME] = "frame",
};

const char *wait_way_name(enum wait_way way)
{
	return way_names[way];
}

struct wait wait_of_arm(const struct arm *arm, enum wait_way way, const struct client *waiter)
{
	return (struct wait){
		.timeline = arm->timeline,
		.value = arm->timeline ? arm_point(arm) : 0,
		.way = way,
		.waiter = waiter,
		.uid = waiter ? waiter->subject.uid : 0,
		.since_ns = arm->since_ns,
	};
}

void wait_take_times(struct wait *wait, const struct fbk_pair_cell *cell, uint64_t floor_ns)
{
	/* relaxed, both: for reports. Read once: the client may scribble here at any time. */
	uint64_t since = atomic_load_explicit(&cell->since_ns, memory_order_relaxed);
	uint64_t until = atomic_load_explicit(&cell->until_ns, memory_order_relaxed);
	uint64_t now = clock_now_ns();
	wait->since_ns = since < floor_ns ? floor_ns : since > now ? now : since;
	wait->deadline_ns = until;
	if (until != 0 && until < now) {
		wait->timeline = NULL;
	}
}
