// SPDX-License-Identifier: MIT
#include "release-line.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "client/lib/device.h"
#include "client/lib/error.h"
#include "client/lib/point.h"
#include "client/lib/watch-arm.h"
#include "link-point.h"
#include "link.h"

static int line_make(struct fbk_link *link, uint32_t index, enum fbk_release_kind kind,
		     struct release_line *line)
{
	struct link_consumer *half = link->consumer;
	bool brokered = kind == FBK_RELEASE_BROKERED;
	struct fbk_timeline *timeline;
	char name[FBK_NAME_SIZE];
	snprintf(name, sizeof(name), "released-%u", index);
	int r = half->set ? 0 : fbk_set_create(link->context, &half->set);
	if (r == 0) {
		r = fbk_timeline_create(link->device, half->set, name,
					brokered ? FBK_TIMELINE_BROKERED : 0, &timeline);
	}
	if (r < 0) {
		return r;
	}
	r = link_show(link, release_number(index, kind), line->incarnation + 1, timeline);
	if (r < 0) {
		fbk_timeline_close(timeline);
		return r;
	}
	*line = (struct release_line){ .timeline = timeline, .incarnation = line->incarnation + 1 };
	return 0;
}

/* Those that are decided by now, or all. */
static void retired_close(struct link_consumer *half, bool all)
{
	SLIST_HEAD(, retired_line) old = { SLIST_FIRST(&half->retired) };
	SLIST_INIT(&half->retired);
	while (!SLIST_EMPTY(&old)) {
		struct retired_line *retired = SLIST_FIRST(&old);
		SLIST_REMOVE_HEAD(&old, links);
		if (!all && timeline_check(retired->timeline, retired->value) == -EAGAIN) {
			SLIST_INSERT_HEAD(&half->retired, retired, links);
		} else {
			fbk_timeline_close(retired->timeline);
			free(retired);
		}
	}
}

/* The last frame was abandoned, and its point is open: what decides it says nothing of the new buffer. */
static int line_retire(struct fbk_link *link, struct release_line *line)
{
	struct link_consumer *half = link->consumer;
	retired_close(half, false);
	struct retired_line *retired = malloc(sizeof(*retired));
	if (!retired) {
		return error_plain(-ENOMEM);
	}
	*retired = (struct retired_line){ .timeline = line->timeline, .value = line->uses };
	SLIST_INSERT_HEAD(&half->retired, retired, links);
	watch_end(link->context, &line->watch);
	line->timeline = NULL;
	return 0;
}

int release_line_get(struct fbk_link *link, uint32_t index, enum fbk_release_kind kind,
		     struct release_line **ret_line)
{
	struct link_consumer *half = link->consumer;
	struct release_line *line = &half->lines[index][kind == FBK_RELEASE_BROKERED];
	uint32_t generation = half->buffers[index]->generation;
	int r = 0;
	/* One that failed: the frame that was released by it is over, since the buffer came again. */
	if (line->timeline && timeline_check(line->timeline, FBK_POINT_MAX) != -EAGAIN) {
		watch_end(link->context, &line->watch);
		fbk_timeline_close(line->timeline);
		line->timeline = NULL;
	} else if (line->timeline && line->generation != generation &&
		   timeline_check(line->timeline, line->uses) == -EAGAIN) {
		r = line_retire(link, line);
	}
	if (r == 0 && !line->timeline) {
		r = line_make(link, index, kind, line);
	}
	line->generation = generation;
	*ret_line = line;
	return r;
}

static bool line_waits(struct fbk_link *link, struct release_line *line)
{
	struct fbk_point last = { line->timeline, line->uses };
	if (!line->timeline || line->uses == 0 || point_look(last) != -EAGAIN) {
		return false;
	}
	if (!watch_pending(link->context, line->watch)) {
		watch_point(link, last, link_wind_down_later, link,
			    &line->watch); /* or whoever looks sees it */
	}
	return true;
}

bool release_lines_wait(struct fbk_link *link)
{
	bool waits = false;
	for (uint32_t i = 0; i < FBK_BUFFERS_MAX; i++) {
		waits |= line_waits(link, &link->consumer->lines[i][0]);
		waits |= line_waits(link, &link->consumer->lines[i][1]);
	}
	return waits;
}

static void line_close(const struct fbk_link *link, struct release_line *line)
{
	watch_end(link->context, &line->watch);
	fbk_timeline_close(line->timeline);
}

/* One that is there, or that a device of these fences will want. */
static void line_prepare(struct fbk_link *link, uint32_t index, enum fbk_release_kind kind,
			 uint32_t fences)
{
	struct release_line *line = &link->consumer->lines[index][kind == FBK_RELEASE_BROKERED];
	if (line->timeline || (line->incarnation == 0 && link->device->signals & fences)) {
		release_line_get(link, index, kind, &line);
	}
}

void release_lines_prepare(struct fbk_link *link, uint32_t index)
{
	line_prepare(link, index, FBK_RELEASE_MEMORY, FBK_FENCE_MEMORY64 | FBK_FENCE_MEMORY32);
	line_prepare(link, index, FBK_RELEASE_BROKERED,
		     FBK_FENCE_EVENTFD | FBK_FENCE_SYNC_FILE | FBK_FENCE_SYNCOBJ_TIMELINE);
}

void release_lines_close(struct fbk_link *link)
{
	retired_close(link->consumer, true);
	for (uint32_t i = 0; i < FBK_BUFFERS_MAX; i++) {
		line_close(link, &link->consumer->lines[i][0]);
		line_close(link, &link->consumer->lines[i][1]);
	}
	fbk_set_destroy(link->consumer->set);
}

void release_lines_free(struct link_consumer *half)
{
	while (!SLIST_EMPTY(&half->retired)) {
		struct retired_line *retired = SLIST_FIRST(&half->retired);
		SLIST_REMOVE_HEAD(&half->retired, links);
		free(retired);
	}
}
