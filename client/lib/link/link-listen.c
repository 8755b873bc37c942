// SPDX-License-Identifier: MIT
/* fbk_link_listen(): a callback with each change of phase. */
#include <errno.h>

#include "link.h"

static void link_changed(void *arg, struct fbk_point point, int result);

/* Under the lock. The first call comes at once. */
static int link_listen(struct fbk_link *link, struct fbk_point change)
{
	if (!link->notified && change.value > 1) {
		change.value--;
	}
	return fbk_point_watch(change, FBK_DEADLINE_MAX, link_changed, link, &link->listener);
}

static void link_changed(void *arg, struct fbk_point point, int result)
{
	struct fbk_link *link = arg;
	struct fbk_link_info info;
	struct fbk_point change;
	(void)point;
	pthread_mutex_lock(link->lock);
	link->listener = NULL;
	link_look(link, &info, &change);
	bool news = info.phase != link->notified;
	link->notified = info.phase;
	if (info.phase != FBK_PHASE_ENDED && result != -ENOTCONN) {
		link_listen(link, change); /* first: `fn` may close it */
	}
	fbk_link_fn *fn = link->fn;
	void *fn_arg = link->arg;
	pthread_mutex_unlock(link->lock);
	if (news) {
		fn(fn_arg, link, info.phase);
	}
}

int fbk_link_listen(struct fbk_link *link, fbk_link_fn *fn, void *arg)
{
	struct fbk_link_info info;
	struct fbk_point change;
	pthread_mutex_lock(link->lock);
	fbk_watch_cancel(link->listener);
	link->listener = NULL;
	link->fn = fn;
	link->arg = arg;
	link->notified = 0; /* of nothing: the present phase is news */
	int r = link_look(link, &info, &change);
	if (r == 0) {
		r = link_listen(link, change);
	}
	pthread_mutex_unlock(link->lock);
	return r;
}
