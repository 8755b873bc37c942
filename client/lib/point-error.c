// SPDX-License-Identifier: MIT
#include "point-error.h"

#include <errno.h>
#include <string.h>

#include "context.h"
#include "error.h"
#include "timeline.h"

bool story_of_timeline(const struct fbk_timeline *timeline, struct point_story *ret_story)
{
	const struct fbk_control_slot *control = timeline->control;
	/* acquire: with `failed` come the others */
	bool failed =
		atomic_load_explicit(&control->status, memory_order_acquire) == FBK_STATUS_FAILED;
	ret_story->late = false;
	ret_story->error = 0;
	ret_story->cause = FBK_CAUSE_NONE;
	ret_story->pid = timeline->pid;
	memcpy(ret_story->timeline, timeline->name, sizeof(ret_story->timeline));
	memcpy(ret_story->device, timeline->device, sizeof(ret_story->device));
	if (failed) {
		/* relaxed, both: see above */
		ret_story->cause = atomic_load_explicit(&control->cause, memory_order_relaxed);
		ret_story->error = atomic_load_explicit(&control->error, memory_order_relaxed);
	}
	return failed;
}

int error_of_point(const struct fbk_point *point, int error)
{
	if (error >= 0 || error == -EAGAIN) {
		return error;
	}
	if (error == -EBADF) {
		return error_child();
	}
	if (error == -ECANCELED) {
		return error_fixed(error, "the wait was flushed");
	}
	struct point_story *story = error_story();
	bool failed = story_of_timeline(point->timeline, story);
	if (!failed && error == -ENOTCONN) {
		return error_lost();
	}
	story->value = point->value;
	story->late = error == -ETIMEDOUT;
	if (!failed || story->late) {
		story->error = error;
		story->cause = FBK_CAUSE_NONE;
	}
	return error;
}

int error_of_signal(struct fbk_timeline *timeline, int error)
{
	const struct fbk_point last = { timeline, FBK_POINT_MAX };
	if (error != -EAGAIN) {
		return error_of_point(&last, error);
	}
	/* failing: the page says why in a moment, if the daemon lives that long */
	return context_lost(timeline->context)
		       ? error_lost()
		       : error_set(-EREMOTEIO, "timeline %s is failing", timeline->name);
}
