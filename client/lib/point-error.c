// SPDX-License-Identifier: MIT
#include "point-error.h"

#include <errno.h>
#include <string.h>

#include "error.h"
#include "timeline.h"

static struct point_story *story_begin(const struct fbk_point *point)
{
	const struct fbk_timeline *timeline = point->timeline;
	struct point_story *story = error_story();
	story->value = point->value;
	story->pid = timeline->pid;
	memcpy(story->timeline, timeline->name, sizeof(story->timeline));
	memcpy(story->device, timeline->device, sizeof(story->device));
	return story;
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
	const struct fbk_control_slot *control = point->timeline->control;
	/* acquire: with `failed` come the others */
	bool failed =
		atomic_load_explicit(&control->status, memory_order_acquire) == FBK_STATUS_FAILED;
	if (!failed && error == -ENOTCONN) {
		return error_lost();
	}
	struct point_story *story = story_begin(point);
	story->late = error == -ETIMEDOUT;
	story->error = error;
	if (failed && !story->late) {
		/* relaxed, both: see above */
		story->cause = atomic_load_explicit(&control->cause, memory_order_relaxed);
		story->error = atomic_load_explicit(&control->error, memory_order_relaxed);
	} else {
		story->cause = FBK_CAUSE_NONE;
	}
	return error;
}

int error_of_signal(struct fbk_timeline *timeline, int error)
{
	const struct fbk_point last = { timeline, FBK_POINT_MAX };
	/* failing: the page says why in a moment */
	return error == -EAGAIN ? error_set(-EREMOTEIO, "timeline %s is failing", timeline->name)
				: error_of_point(&last, error);
}
