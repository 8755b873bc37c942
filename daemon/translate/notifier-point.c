// SPDX-License-Identifier: MIT
/*
 * A fence that this daemon handed out, and that came back. Its point is followed, and not what the fence reads: an eventfd is
 * raised as well when its export expires, when the point fails and when the exporting client ends, and a syncobj or a broken
 * promise can't say which it was.
 */
#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/core/arm.h"
#include "notifier.h"
#include "proto/container.h"
#include "translator.h"

struct point_follow {
	struct arm arm;
	struct event *
		decided; /* later: points that follow one another would else decide in one another's calls */
	notifier_fn *fn;
	void *arg;
	int result;
	char *reason;
};

static void point_tell(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	struct point_follow *state = arg;
	state->fn(state->arg, state->result); /* frees the state */
}

static void point_decided(struct arm *arm, struct timeline *timeline, int result)
{
	struct point_follow *state = container_of(arm, struct point_follow, arm);
	state->result = result;
	if (result < 0) {
		state->reason = strdup(timeline_reason(timeline)); /* NULL: the errno says enough */
	}
	event_active(state->decided, EV_TIMEOUT, 0);
}

static void point_stop(void *opaque)
{
	struct point_follow *state = opaque;
	if (state) {
		arm_remove(&state->arm);
		event_drop(state->decided);
		free(state->reason);
		free(state);
	}
}

static int point_start(struct translator *translator, const struct fence *fence, notifier_fn *fn,
		       void *arg, void **ret_state, char *detail)
{
	(void)detail;
	struct point_follow *state = calloc(1, sizeof(*state));
	if (!state) {
		return -ENOMEM;
	}
	state->fn = fn;
	state->arg = arg;
	state->arm.done = point_decided;
	state->decided =
		loop_trigger(&translator->registry->loop, PRIORITY_FENCE, point_tell, state);
	if (!state->decided) {
		point_stop(state);
		return -ENOMEM;
	}
	arm_add(&state->arm, fence->behind.timeline, fence->behind.value);
	*ret_state = state;
	return 0;
}

static int point_look(void *opaque)
{
	struct point_follow *state = opaque;
	if (state->arm.timeline) {
		timeline_refresh(state->arm.timeline);
	}
	return state->arm.timeline ? FENCE_PENDING : state->result;
}

static const char *point_reason(const void *opaque)
{
	const struct point_follow *state = opaque;
	return state->reason;
}

static struct graph_point point_behind(const void *opaque)
{
	const struct point_follow *state = opaque;
	struct timeline *timeline = state->arm.timeline;
	return (struct graph_point){ timeline, timeline ? arm_point(&state->arm) : 0 };
}

const struct notifier notifier_point = {
	.name = "point",
	.start = point_start,
	.stop = point_stop,
	.look = point_look,
	.reason = point_reason,
	.behind = point_behind,
};
