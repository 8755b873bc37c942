// SPDX-License-Identifier: MIT
/* Which frame a consumer takes next. Under the link's lock. */
#pragma once

#include <stdbool.h>

#include "awaited.h"
#include "link.h"

/* A frame on the producer's lane that is offered, and its acquire point, whose timeline is referenced. */
struct found {
	struct lane_frame frame;
	struct lane_point *point;
	uint64_t value;
	bool gone; /* its producer closed that timeline before: the point is one that is never reached */
	int error;  /* 0, or what its acquire point failed with */
	bool older; /* there are frames before it that are passed over */
};

/* Of an open link: 0; -EAGAIN with what to wait for added; -EPROTO: its producer lies; -EPIPE: its producer has stopped
 * it, and all frames are taken; or why an acquire point can't be looked at now. */
int link_find(struct fbk_link *link, struct found *ret_found, struct awaited *awaited);
