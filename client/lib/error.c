// SPDX-License-Identifier: MIT
#include "error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "point.h"
#include "timeline.h"

static _Thread_local struct failure last;

int error_set(int error, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(last.text, sizeof(last.text), format, args);
	va_end(args);
	last.fixed = NULL;
	last.story.error = 0;
	return error;
}

int error_fixed(int error, const char *sentence)
{
	last.fixed = sentence;
	return error;
}

int error_plain(int error)
{
	return error_fixed(error, strerrordesc_np(-error));
}

int error_lost(void)
{
	return error_fixed(-ENOTCONN, "the daemon is gone");
}

int error_child(void)
{
	return error_fixed(-EBADF, "this context belongs to the process that forked: connect anew");
}

/* ------------------------------------------------------------------------------------- points -- */

static void story_begin(const struct fbk_point *point)
{
	const struct fbk_timeline *timeline = point->timeline;
	struct point_story *story = &last.story;
	last.fixed = NULL;
	story->value = point->value;
	story->pid = timeline->pid;
	memcpy(story->timeline, timeline->name, sizeof(story->timeline));
	memcpy(story->device, timeline->device, sizeof(story->device));
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
	story_begin(point);
	last.story.late = error == -ETIMEDOUT;
	last.story.error = error;
	if (failed && !last.story.late) {
		/* relaxed, both: see above */
		last.story.cause = atomic_load_explicit(&control->cause, memory_order_relaxed);
		last.story.error = atomic_load_explicit(&control->error, memory_order_relaxed);
	} else {
		last.story.cause = FBK_CAUSE_NONE;
	}
	return error;
}

int error_of_name(const char *what, const char *name)
{
	return !name || strnlen(name, FBK_NAME_SIZE) < FBK_NAME_SIZE
		       ? 0
		       : error_set(-EINVAL, "the name of %s has at most %d characters", what,
				   FBK_NAME_SIZE - 1);
}

int error_of_signal(struct fbk_timeline *timeline)
{
	const struct fbk_point last_one = { timeline, FBK_POINT_MAX };
	int error = timeline_check(timeline, FBK_POINT_MAX);
	/* failing: the page says why in a moment */
	return error == -EAGAIN ? error_set(-EREMOTEIO, "timeline %s is failing", timeline->name)
				: error_of_point(&last_one, error);
}

static const char *story_cause(const struct point_story *story)
{
	switch (story->cause) {
	case FBK_CAUSE_OWNER_DIED:
		return "its process died";
	case FBK_CAUSE_OWNER_LEFT:
		return "its process closed it";
	case FBK_CAUSE_OWNER_FAILED:
		return "its process failed it: ";
	case FBK_CAUSE_DEADLINE:
		return "it missed the deadline of a promise or an import";
	case FBK_CAUSE_POLICING:
		return "its payload stepped back or jumped";
	case FBK_CAUSE_ADMIN:
		return "the administrator failed it";
	case FBK_CAUSE_FENCE_ERROR:
		return "a kernel fence that it follows failed, or was refused: ";
	case FBK_CAUSE_DAEMON_LOST:
		return "the daemon was stopped";
	default:
		return "";
	}
}

static void story_tell(const struct point_story *story)
{
	char owner[FBK_NAME_SIZE + 32] = "";
	const char *cause = story_cause(story);
	bool by_errno = cause[0] == '\0' || cause[strlen(cause) - 1] == ' ';
	const char *description = by_errno ? strerrordesc_np(-story->error) : "";
	if (story->device[0]) {
		snprintf(owner, sizeof(owner), " of %s (pid %d)", story->device, story->pid);
	}
	if (story->late) {
		snprintf(last.text, sizeof(last.text),
			 "the deadline passed: timeline %s%s has not reached point %llu",
			 story->timeline, owner, (unsigned long long)story->value);
		return;
	}
	snprintf(last.text, sizeof(last.text), "timeline %s%s failed: %s%s", story->timeline, owner,
		 cause, description ? description : "unknown error");
}

const char *fbk_error_detail(void)
{
	if (last.fixed) {
		return last.fixed;
	}
	if (last.story.error < 0) {
		story_tell(&last.story);
		last.story.error = 0;
	}
	return last.text;
}

struct failure error_last(void)
{
	return last;
}

void error_restore(const struct failure *kept)
{
	last = *kept;
}
