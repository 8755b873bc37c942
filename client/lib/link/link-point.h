// SPDX-License-Identifier: MIT
/* Points that go over a link: numbers for our timelines, and the peer's timelines by number. Under its lock. */
#pragma once

#include "link.h"

/* The number of a timeline of ours for the peer; 0 of none. Negative: an error. */
int link_number_of(struct fbk_link *link, const struct fbk_timeline *timeline);

/* The point that an entry of the peer's names. */
int link_point_of(struct fbk_link *link, const struct lane_entry *entry,
		  struct fbk_point *ret_point);

/* A point of the peer's as that route gives it: gives an fd. -EOPNOTSUPP: it gives none. */
int link_fence(struct fbk_link *link, enum fbk_route route, struct fbk_point point, int *ret_fd);
