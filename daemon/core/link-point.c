// SPDX-License-Identifier: MIT
/* The timelines whose points go over a link, by the numbers that its ends give them. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "link.h"
#include "token.h"

static int number_check(uint32_t number, char *detail)
{
	if (number == 0 || number > FBK_LANE_POINTS) {
		snprintf(detail, FBK_REASON_SIZE,
			 "points of at most %d timelines go over a link at a time, not of a %uth",
			 FBK_LANE_POINTS, number);
		return -ENOSPC;
	}
	return 0;
}

static void point_drop(struct link_side *side, struct link_point *point)
{
	if (point->token >= 0) {
		close(point->token); /* our own memfd */
		point->token = -1;
		charge_shrink(&side->fds, 1);
	}
}

int link_set_point(struct link *link, int side, struct handle *handle, uint32_t number,
		   uint32_t incarnation, char *detail)
{
	struct link_side *end = &link->sides[side];
	struct token *token;
	int r = number_check(number, detail);
	if (r < 0) {
		return r;
	}
	r = token_get(handle, handle->rights & (FBK_RIGHT_WAIT | FBK_RIGHT_PROMISE), &token);
	if (r < 0) {
		return r;
	}
	bool releases = side != (int)link->producer &&
			timeline_signaler(handle->timeline) == handle->client;
	if (releases && handle->timeline->brokered) {
		/* A release on a fence is not refused once its buffer is said to be back. */
		r = timeline_reserve(handle->timeline, end->client->user);
	}
	if (r < 0) {
		return r;
	}
	point_drop(end, &end->points[number]);
	r = charge_grow(&end->fds, end->client->user, ACCOUNT_FDS, 1);
	if (r < 0) {
		return r;
	}
	int fd = fcntl(token->fd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0) {
		r = -errno;
		charge_shrink(&end->fds, 1);
		return r;
	}
	handle->timeline->releases |= releases;
	end->points[number] = (struct link_point){ .token = fd, .incarnation = incarnation };
	return 0;
}

int link_point_token(const struct link *link, int side, uint32_t number, uint32_t incarnation,
		     int *ret_token, char *detail)
{
	const struct link_point *point =
		number <= FBK_LANE_POINTS ? &link->sides[side].points[number] : NULL;
	if (number == 0 || !point || point->token < 0 || point->incarnation != incarnation) {
		snprintf(detail, FBK_REASON_SIZE, "the peer shows no timeline %u, incarnation %u",
			 number, incarnation);
		return -ENOENT;
	}
	*ret_token = point->token;
	return 0;
}
