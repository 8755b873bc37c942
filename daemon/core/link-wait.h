// SPDX-License-Identifier: MIT
/* Edges of the wait-for graph that follow from frames on links. Loop's thread only. */
#pragma once

#include "link.h"
#include "timeline.h"

#define LINK_WAITS_MAX 16 /* looks at this many links at most, newest first */

/*
 * Add the waits of the frames on the links of these timelines' signalers, as edges that the caller drops. Charged to
 * the user; edges above its limit are left out.
 */
void link_waits(struct registry *registry, const struct timeline *one, const struct timeline *other,
		struct user *user, struct graph_edges *waits);

/* The consumer gave that buffer back at a point that was not decided at the last look; which. */
bool link_release_pending(const struct link *link, uint32_t index, struct graph_point *ret_point);
