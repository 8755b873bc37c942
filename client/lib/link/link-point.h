// SPDX-License-Identifier: MIT
/* The peer's timelines by number, and points of theirs as fds. Under the link's lock. */
#pragma once

#include "link.h"

/* Show the peer a timeline of ours by that number, instead of the one before. */
int link_show(struct fbk_link *link, uint32_t number, uint32_t incarnation,
	      const struct fbk_timeline *timeline);

/* The peer's timeline of that number and incarnation, referenced. -ENOENT: it is another by now. -EAGAIN: the daemon has
 * not heard of it yet; then the link changes. */
int link_point_of(struct fbk_link *link, uint32_t number, uint32_t incarnation,
		  struct lane_point **ret_point);

/* A point of the peer's as that route gives it: gives an fd, until the deadline. -EOPNOTSUPP: it gives none. -EAGAIN: only
 * once the point is reached. */
int link_fence(enum fbk_route route, struct lane_point *point, uint64_t value, uint64_t deadline_ns,
	       int *ret_fd);
