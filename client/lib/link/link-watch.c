// SPDX-License-Identifier: MIT
#include "link-watch.h"

#include <errno.h>

#include "client/lib/context.h"
#include "client/lib/error.h"
#include "client/lib/watch-arm.h"
#include "link-consumer.h"
#include "link.h"

void frame_unwatch(struct fbk_link *link)
{
	struct link_consumer *half = link->consumer;
	watch_cancel(link->context, half->frame_watch);
	half->frame_watch = NULL;
}

void frames_unwatch(struct fbk_link *link)
{
	struct link_consumer *half = link->consumer;
	frame_unwatch(link);
	watch_cancel(link->context, half->change_watch);
	half->change_watch = NULL;
}

static void frame_fired(void *arg, struct fbk_point point, int result);
static void change_fired(void *arg, struct fbk_point point, int result);

/* Is there something for fbk_link_next() to do? If not, watch for it: for a frame, and for a change, which may be
 * the end, or that frames can come from now on. */
static int next_watch(struct fbk_link *link)
{
	struct link_consumer *half = link->consumer;
	int r = link_refresh(link);
	struct fbk_point frame = { link->in.timeline, link->next };
	if (r < 0 || link->info.phase == FBK_LINK_ENDED) {
		frames_unwatch(link);
		return watch_soon(link->context, change_fired, link, &half->change_watch);
	}
	if (!half->change_watch) {
		r = fbk_point_watch(link_change(link), FBK_DEADLINE_MAX, change_fired, link,
				    &half->change_watch);
	}
	if (r == 0 && !half->frame_watch && link_open(link)) {
		r = fbk_point_watch(frame, FBK_DEADLINE_MAX, frame_fired, link, &half->frame_watch);
	}
	return r;
}

/* A change is watched for on and on, whether a frame is asked for or not, since the daemon has to be asked
 * about it. Unlocks. */
static void next_look(struct fbk_link *link)
{
	struct link_consumer *half = link->consumer;
	fbk_next_fn *fn = half->next_fn;
	void *fn_arg = half->next_arg;
	link_refresh(link);
	struct fbk_point frame = { link->in.timeline, link->next };
	bool due = fn && (link->info.phase == FBK_LINK_ENDED || context_lost(link->context) ||
			  (link_open(link) && fbk_point_check(frame) != -EAGAIN));
	if (due) {
		frame_unwatch(link);
		half->next_fn = NULL;
	} else if (fn) {
		next_watch(link);
	}
	pthread_mutex_unlock(link->lock);
	if (due) {
		fn(fn_arg, link);
	}
}

static void frame_fired(void *arg, struct fbk_point point, int result)
{
	struct fbk_link *link = arg;
	struct link_consumer *half = link->consumer;
	(void)point;
	(void)result;
	pthread_mutex_lock(link->lock);
	half->frame_watch = NULL;
	next_look(link);
}

static void change_fired(void *arg, struct fbk_point point, int result)
{
	struct fbk_link *link = arg;
	struct link_consumer *half = link->consumer;
	(void)point;
	(void)result;
	pthread_mutex_lock(link->lock);
	half->change_watch = NULL;
	next_look(link);
}

int fbk_link_watch(struct fbk_link *link, fbk_next_fn *fn, void *arg)
{
	struct link_consumer *half = link->consumer;
	if (link->role != FBK_CONSUMER) {
		return error_set(-EINVAL, "this end of the link is the producer's");
	}
	pthread_mutex_lock(link->lock);
	frame_unwatch(link);
	half->next_fn = fn;
	half->next_arg = arg;
	int r = next_watch(link);
	pthread_mutex_unlock(link->lock);
	return r;
}
