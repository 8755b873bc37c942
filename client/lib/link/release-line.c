// SPDX-License-Identifier: MIT
#include "release-line.h"

#include <errno.h>
#include <stdio.h>

#include "client/lib/point.h"
#include "link-point.h"

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
	*line = (struct release_line){ timeline, line->incarnation + 1, 0 };
	return 0;
}

int release_line_get(struct fbk_link *link, uint32_t index, enum fbk_release_kind kind,
		     struct release_line **ret_line)
{
	struct release_line *line = &link->consumer->lines[index][kind == FBK_RELEASE_BROKERED];
	/* One that failed: the frame that was released by it is over, since the buffer came again. */
	if (line->timeline && timeline_check(line->timeline, FBK_POINT_MAX) != -EAGAIN) {
		fbk_timeline_close(line->timeline);
		line->timeline = NULL;
	}
	int r = line->timeline ? 0 : line_make(link, index, kind, line);
	*ret_line = line;
	return r;
}

void release_lines_close(struct link_consumer *half)
{
	for (uint32_t i = 0; i < FBK_BUFFERS_MAX; i++) {
		fbk_timeline_close(half->lines[i][0].timeline);
		fbk_timeline_close(half->lines[i][1].timeline);
	}
	fbk_set_destroy(half->set);
}
