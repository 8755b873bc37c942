// SPDX-License-Identifier: MIT
#include "blame.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "client/include/fencebroker.h"
#include "device.h"
#include "export.h"
#include "handle.h"
#include "pair.h"
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

/* A wait: of a process, for a point. */
struct wait {
	struct timeline *timeline; /* NULL: none */
	uint64_t value;
	uint64_t since_ns;
};

/* Who waits for a frame listens for changes of the link as well: nobody owes those. */
static bool wait_is_for_changes(const struct wait *wait)
{
	return wait->timeline->brokered && wait->timeline->brokered->link;
}

static void wait_older(struct wait *oldest, const struct wait *other)
{
	if (other->timeline && !wait_is_for_changes(other) &&
	    (!oldest->timeline || other->since_ns < oldest->since_ns)) {
		*oldest = *other;
	}
}

static void wait_older_arm(struct wait *oldest, const struct arm *arm)
{
	struct wait wait = { arm->timeline, arm->timeline ? arm_point(arm) : 0, arm->since_ns };
	wait_older(oldest, &wait);
}

/* On the pair path nobody arms anything here: the cell tells, as far as its owner is to be believed. */
static void wait_older_pair(struct wait *oldest, const struct handle *handle)
{
	struct fbk_pair_cell *cell = pair_cell(handle->pair);
	/* relaxed: for people */
	struct wait wait = {
		.timeline = handle->timeline,
		.value = atomic_load_explicit(&cell->minimum, memory_order_relaxed),
		.since_ns = atomic_load_explicit(&cell->since_ns, memory_order_relaxed),
	};
	if (wait.value > 0 && wait.value <= FBK_POINT_MAX && wait.value > wait.timeline->seen) {
		wait_older(oldest, &wait);
	}
}

/* What this process has been waiting for longest. */
static struct wait session_oldest_wait(const struct session *session)
{
	struct wait oldest = { 0 };
	const struct export *export;
	LIST_FOREACH(export, &session->exports, links) {
		wait_older_arm(&oldest, &export->arm);
	}
	LIST_FOREACH(export, &session->promises, asked_links) {
		wait_older_arm(&oldest, &export->arm); /* it waits in the kernel */
	}
	for (uint32_t number = 1; number < session->handles_size; number++) {
		const struct handle *handle = session->handles[number];
		const struct watch *watch;
		if (!handle) {
			continue;
		}
		if (handle->cell_arm) {
			wait_older_arm(&oldest, handle->cell_arm);
		}
		if (handle->pair) {
			wait_older_pair(&oldest, handle);
		}
		LIST_FOREACH(watch, &handle->watches, links) {
			wait_older_arm(&oldest, &watch->arm);
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
		 timeline->device->name, timeline->device->pid);
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
			text_add(&text, ", which failed: %s", timeline_reason(timeline));
			return;
		}
		char process = process_state(timeline->device->pid);
		struct wait next = { 0 };
		if (process != 'T' && process != 't') {
			next = session_oldest_wait(timeline_signaler(timeline));
		}
		if (!next.timeline) {
			text_add(&text, ", %s", state_sentence(process));
			return;
		}
		timeline = next.timeline;
		value = next.value;
		text_add(&text, ", which waits for ");
		text_add_point(&text, timeline, value);
	}
	text_add(&text, ", and so on: probably a cycle");
}
