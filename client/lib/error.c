// SPDX-License-Identifier: MIT
#include "error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

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

int error_of_call(const char *call, int error)
{
	if (error == -EPERM || error == -EACCES || error == -ENOSYS) {
		return error_set(
			-ENOSYS,
			"%s: %s: a sandbox's filter (seccomp) refuses this system call, or "
			"the kernel lacks it",
			call, strerrordesc_np(-error));
	}
	return error_set(error, "%s: %s", call, strerrordesc_np(-error));
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

int error_of_name(const char *what, const char *name)
{
	return !name || strnlen(name, FBK_NAME_SIZE) < FBK_NAME_SIZE
		       ? 0
		       : error_set(-EINVAL, "the name of %s has at most %d characters", what,
				   FBK_NAME_SIZE - 1);
}

struct point_story *error_story(void)
{
	last.fixed = NULL;
	return &last.story;
}

static const char *story_cause(const struct point_story *story)
{
	switch (story->cause) {
	case FBK_CAUSE_OWNER_DIED:
		return "its process died or was disconnected";
	case FBK_CAUSE_OWNER_LEFT:
		return "its process closed it";
	case FBK_CAUSE_OWNER_FAILED:
		return "its process failed it: ";
	case FBK_CAUSE_DEADLINE:
		return "it missed the deadline of a promise, or its consumer died before it "
		       "released";
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

void story_tell(const struct point_story *story, char *ret_text, size_t size)
{
	char owner[FBK_NAME_SIZE + 32] = "";
	const char *cause = story_cause(story);
	bool by_errno = cause[0] == '\0' || cause[strlen(cause) - 1] == ' ';
	const char *description = by_errno ? strerrordesc_np(-story->error) : "";
	if (story->device[0]) {
		snprintf(owner, sizeof(owner), " of %s (pid %d)", story->device, story->pid);
	}
	if (story->late) {
		snprintf(ret_text, size,
			 "the deadline passed: timeline %s%s has not reached point %llu",
			 story->timeline, owner, (unsigned long long)story->value);
		return;
	}
	snprintf(ret_text, size, "timeline %s%s failed: %s%s", story->timeline, owner, cause,
		 description ? description : "unknown error");
}

const char *fbk_error_detail(void)
{
	if (last.fixed) {
		return last.fixed;
	}
	if (last.story.error < 0) {
		story_tell(&last.story, last.text, sizeof(last.text));
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
