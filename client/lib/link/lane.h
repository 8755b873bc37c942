// SPDX-License-Identifier: MIT
/*
 * One direction of a link: a ring of entries behind a timeline, and the timelines whose points go over it.
 * Embedded in the link, under its lock.
 */
#pragma once

#include <stdint.h>

#include "fencebroker.h"
#include "proto/lane.h"
#include "proto/page.h"

struct lane {
	struct fbk_timeline *timeline; /* NULL: there is no peer */
	/* Timelines whose points go over it, by number: of the one that sends their ids, since they stay its
	 * own; of the one that receives what it opened. */
	uint64_t ids[1 + FBK_LANE_POINTS];
	struct fbk_timeline *points[1 + FBK_LANE_POINTS];
	int syncobjs[1 + FBK_LANE_POINTS]; /* that follow them; 0: none */
	uint32_t count;
};

int lane_send(const struct lane *lane, const struct lane_entry *entry);

/* Once its point is reached. -EPROTO: the ring does not have that entry. */
int lane_receive(const struct lane *lane, uint64_t sequence, struct lane_entry *ret_entry);

/* A syncobj that follows that timeline of the peer's; its points are the same. */
int lane_syncobj(struct lane *lane, struct fbk_timeline *timeline, int *ret_fd);

void lane_drop(struct lane *lane); /* closes what it has */
void lane_close_syncobjs(struct lane *lane);
