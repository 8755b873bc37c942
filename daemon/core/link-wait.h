// SPDX-License-Identifier: MIT
/* What hand-overs say about who waits for whom. Loop's thread only. */
#pragma once

#include "timeline.h"

#define LINK_WAITS_MAX 16 /* links that are looked at, of the newest */

/*
 * What the frames on the links of those who signal these two timelines wait for, as edges for the caller to drop.
 * Charged to the user; those that there is no room for are left out.
 */
void link_waits(struct registry *registry, const struct timeline *one, const struct timeline *other,
		struct user *user, struct graph_edges *waits);
