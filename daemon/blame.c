// SPDX-License-Identifier: MIT
#include "blame.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "client/include/fencebroker.h"
#include "export.h"
#include "handle.h"
#include "session.h"
#include "timeline.h"
#include "watch.h"

#define BLAME_DEPTH 8

struct text {
	char *start;
	size_t size, used;
};

__attribute__((format(printf, 2, 3))) static void text_add(struct text *text, const char *format,
							   ...)
{
	va_list args;
	va_start(args, format);
	int length = vsnprintf(text->start + text->used, text->size - text->used, format, args);
	va_end(args);
	if (length > 0) {
		text->used += (size_t)length;
		if (text->used >= text->size) {
			text->used = text->size - 1;
		}
	}
}

static const struct arm *arm_older(const struct arm *a, const struct arm *b)
{
	if (!b->timeline) {
		return a;
	}
	return !a || b->since_ns < a->since_ns ? b : a;
}

/* What this process has been waiting for longest. */
static const struct arm *session_oldest_arm(const struct session *session)
{
	const struct arm *oldest = NULL;
	const struct export *export;
	LIST_FOREACH(export, &session->exports, links) {
		oldest = arm_older(oldest, &export->arm);
	}
	LIST_FOREACH(export, &session->promises, asked_links) {
		oldest = arm_older(oldest, &export->arm); /* it waits in the kernel */
	}
	for (uint32_t number = 1; number < session->handles_size; number++) {
		const struct handle *handle = session->handles[number];
		const struct watch *watch;
		if (!handle) {
			continue;
		}
		oldest = arm_older(oldest, &handle->cell_arm);
		LIST_FOREACH(watch, &handle->watches, links) {
			oldest = arm_older(oldest, &watch->arm);
		}
	}
	return oldest;
}

/* R, S, D, T ...; 0 when the process is gone. The name in the second field may hold anything. */
static char process_state(pid_t pid)
{
	char path[32];
	char line[512] = "";
	char state = 0;
	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	FILE *file = fopen(path, "re");
	if (!file) {
		return 0;
	}
	size_t size = fread(line, 1, sizeof(line) - 1, file);
	fclose(file);
	line[size] = '\0';
	const char *end = strrchr(line, ')');
	if (end && end[1] == ' ') {
		state = end[2];
	}
	return state;
}

static const char *state_sentence(char state)
{
	switch (state) {
	case 'T':
	case 't':
		return "which is stopped";
	case 'D':
		return "which hangs in the kernel";
	case 'Z':
	case 'X':
	case 0:
		return "which is dead";
	default:
		return "which waits for nobody here and has not delivered";
	}
}

static void text_add_point(struct text *text, const struct timeline *timeline, uint64_t value)
{
	text_add(text, "%s point %llu (now %llu) of %s (pid %d)", timeline->name,
		 (unsigned long long)value, (unsigned long long)timeline->seen,
		 timeline->owner.device, timeline->owner.pid);
}

void blame_describe(struct timeline *timeline, uint64_t value, char *ret_text, size_t size)
{
	struct text text = { .start = ret_text, .size = size };
	text_add_point(&text, timeline, value);
	for (int depth = 0; depth < BLAME_DEPTH; depth++) {
		if (timeline->cause == FBK_CAUSE_NONE) {
			timeline_look(timeline); /* nobody is blamed for what is done */
		}
		int state = timeline_point_state(timeline, value);
		if (state == 0) {
			text_add(&text, ", which is reached");
			return;
		}
		if (state != -EAGAIN) {
			text_add(&text, ", which failed: %s", timeline->reason);
			return;
		}
		char process = process_state(timeline->owner.pid);
		const struct arm *next = process == 'T' || process == 't' || !timeline->signaler
						 ? NULL
						 : session_oldest_arm(timeline->signaler);
		if (!next) {
			text_add(&text, ", %s", state_sentence(process));
			return;
		}
		timeline = next->timeline;
		value = arm_point(next);
		text_add(&text, ", which waits for ");
		text_add_point(&text, timeline, value);
	}
	text_add(&text, ", and so on: probably a cycle");
}
