// SPDX-License-Identifier: MIT
/* Whose fault it is: a reason for the peer, and what a frame waits for. */
#include <errno.h>

#include "client/lib/error.h"
#include "link.h"

int fbk_link_fail(struct fbk_link *link, int error, const char *reason)
{
	int mine = link_check(link);
	if (mine < 0) {
		return mine;
	}
	if (error >= 0 || error < -4095) {
		return error_set(-EINVAL, "%d is not a negative errno", error);
	}
	link_lock(link);
	int r = link->ops->refresh(link);
	if (r == 0 && !link->peer.self) {
		r = link_over(link);
	}
	if (r == 0) {
		link_give_up(link, error, reason ? reason : "");
		link->ops->refresh(link);
	}
	link_unlock(link);
	return r;
}

/* What its next frame waits for: to come, or to come back. */
static int link_awaited(struct fbk_link *link, struct fbk_point *ret_point)
{
	if (!link->peer.self || link->next == 0) {
		return link_over(link);
	}
	return link->ops->awaited(link, ret_point);
}

int fbk_link_blame(struct fbk_link *link, char *ret_text, size_t text_size)
{
	int mine = link_check(link);
	if (mine < 0) {
		return mine;
	}
	struct fbk_point point = FBK_POINT_SIGNALLED;
	link_lock(link);
	int r = link->ops->refresh(link);
	if (r == 0) {
		r = link_awaited(link, &point);
	}
	if (r == 0) {
		r = fbk_point_blame(point, ret_text, text_size);
	}
	link_unlock(link);
	return r;
}
