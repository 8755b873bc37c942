// SPDX-License-Identifier: MIT
/* The release timelines of a consumer's buffers, two for each, made when they are first needed. */
#pragma once

#include "link-consumer.h"

/* `kind`: FBK_RELEASE_MEMORY or FBK_RELEASE_BROKERED. One that failed is replaced. Under the link's lock. */
int release_line_get(struct fbk_link *link, uint32_t index, enum fbk_release_kind kind,
		     struct release_line **ret_line);

/* When that buffer comes, and with its frames, so that a release asks the daemon for nothing: one that failed is replaced,
 * and those that the device signals by are made. What can't be done now is done, or refused, with the release. */
void release_lines_prepare(struct fbk_link *link, uint32_t index);

/* The number that its producer finds it by. */
static inline uint32_t release_number(uint32_t index, enum fbk_release_kind kind)
{
	return 1 + 2 * index + (kind == FBK_RELEASE_BROKERED);
}

/* Of a link that was stopped: whether a release is undecided. Then it is watched, and winds the link down in a dispatch. */
bool release_lines_wait(struct fbk_link *link);

void release_lines_close(struct fbk_link *link);
/* Their timelines have ended with the context. */
void release_lines_free(struct link_consumer *half);
