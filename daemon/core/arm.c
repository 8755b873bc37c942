// SPDX-License-Identifier: MIT
#include "arm.h"

#include <assert.h>
#include <errno.h>

#include "daemon/base/clock.h"

void arm_add(struct arm *arm, struct timeline *timeline, uint64_t value)
{
	assert(!arm->timeline);
	struct registry *registry = timeline_registry(timeline);
	uint64_t now = clock_now_ns();
	registry->arm_ns = now > registry->arm_ns ? now : registry->arm_ns + 1;
	arm->timeline = timeline;
	arm->since_ns = registry->arm_ns;
	heap_insert(&timeline->arms, &arm->node, value);
	timeline->armed++;
	if (timeline->cause != FBK_CAUSE_NONE) {
		timeline_complete(timeline); /* no look: its pages may be gone */
	} else {
		timeline_look(timeline);
	}
}

void arm_remove(struct arm *arm)
{
	if (!arm->timeline) {
		return;
	}
	struct timeline *timeline = arm->timeline;
	timeline_take_off(timeline, arm);
	if (timeline->cause == FBK_CAUSE_NONE &&
	    timeline_smallest(timeline) > timeline_monitored(timeline)) {
		/* A monitored value that is too low costs the signaler needless rings. Raising it
		 * needs no re-read: each arm was compared with the payload when it was armed. */
		timeline_publish(timeline, timeline_smallest(timeline));
	}
}

int arm_expire(struct arm *arm)
{
	struct timeline *timeline = arm->timeline;
	uint64_t value = arm_point(arm);
	arm_remove(arm);
	if (timeline->cause == FBK_CAUSE_NONE) {
		timeline_catch_up(timeline,
				  value); /* the loop may not have served its source yet */
	}
	timeline_refresh(timeline);
	return timeline_point_state(timeline, value);
}
