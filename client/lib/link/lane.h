// SPDX-License-Identifier: MIT
/*
 * The two lanes of a link as its process sees them: its own, which it writes; and its peer, whose lane and claim words
 * it reads, with the timelines whose points come over it. Under the link's lock.
 */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#include "client/lib/timeline.h"
#include "fencebroker.h"
#include "proto/lane.h"
#include "proto/page.h"

struct fbk_context;

/* A lane is raised by one at a time, so one that is higher was written by somebody who lies: the points after it would
 * run out. */
#define LANE_VALUE_MAX (FBK_POINT_MAX / 2)

/* Frames that a producer has room for, decades of them. A consumer's offer outlives its producers, and each goes on with
 * the numbers of the one before: so none can use up all of them. */
#define LANE_FRAMES_MAX (UINT64_C(1) << 40)

/* This end's. */
struct lane {
	struct fbk_timeline *timeline;
	struct lane_page page;
};

/* Say one thing more: the table was written before. */
int lane_raise(const struct lane *lane);

/* A frame goes back: the table, then that. */
int lane_give_back(const struct lane *lane, const struct lane_return *back);

/* A timeline of the peer's that is open here. Shared by the peer, by frames and by who waits: counted. */
struct lane_point {
	_Atomic unsigned int refs;
	struct fbk_timeline *timeline;
	uint32_t incarnation;
	int syncobj; /* that follows it, by `mirror`; -1: none yet */
	struct fbk_mirror *mirror;
};

/* Takes the timeline, also when it fails. */
int lane_point_create(struct fbk_timeline *timeline, uint32_t incarnation,
		      struct lane_point **ret_point);
struct lane_point *lane_point_ref(struct lane_point *point);
/* Of that context; NULL: it ends, with all timelines. Takes a point NULL. */
void lane_point_unref(const struct fbk_context *context, struct lane_point *point);

/* A duplicate of the syncobj that follows it, made when it is first asked for; its points are the same. */
int lane_point_syncobj(struct lane_point *point, int *ret_fd);

struct link_peer {
	struct lane_point *self; /* its lane; NULL: there is no peer */
	struct lane_page page;
	struct page_map *claims;
	struct claim_page words;                        /* on that page */
	struct lane_point *points[1 + FBK_LANE_POINTS]; /* by number */
};

static inline struct fbk_timeline *peer_lane(const struct link_peer *peer)
{
	return peer->self ? peer->self->timeline : NULL;
}

static inline const struct claim_page *peer_claims(const struct link_peer *peer)
{
	return &peer->words;
}

/* The one with that timeline; NULL: it is none of the peer's. */
struct lane_point *peer_point_find(const struct link_peer *peer,
				   const struct fbk_timeline *timeline);

void peer_drop(struct fbk_context *context, struct link_peer *peer); /* closes what it has */
