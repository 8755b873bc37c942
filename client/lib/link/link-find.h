// SPDX-License-Identifier: MIT
/* Which frame a consumer takes next. Under the link's lock. */
#pragma once

#include <stdbool.h>

#include "awaited.h"
#include "link.h"

/* A frame on the producer's lane that is offered, and its acquire timeline, referenced. */
struct found {
	struct lane_frame frame;
	struct lane_point *point;
	int error;  /* 0, or what its acquire point failed with, or why it can't be waited for */
	bool older; /* there are frames before it that are passed over */
};

/* Of an open link: 0, -EAGAIN with what to wait for added, or -EPROTO, -ENOTCONN; or -EPIPE: its
 * producer has stopped it, and all frames are taken. */
int link_find(struct fbk_link *link, struct found *ret_found, struct awaited *awaited);
