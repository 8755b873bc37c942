// SPDX-License-Identifier: MIT
#include "link-watch.h"

#include <errno.h>

#include "client/lib/context.h"
#include "client/lib/error.h"
#include "client/lib/watch-arm.h"
#include "link-consumer.h"
#include "link-find.h"
#include "link-import.h"
#include "link.h"

static void frame_watch_end(struct frame_watch *slot)
{
	watch_end(slot->link->context, &slot->watch);
	lane_point_unref(slot->link->context, slot->point);
	slot->point = NULL;
}

void frame_unwatch(struct fbk_link *link)
{
	for (uint32_t i = 0; i <= WATCHED_MAX; i++) {
		frame_watch_end(&link->consumer->watches[i]);
	}
}

void frames_unwatch(struct fbk_link *link)
{
	struct link_consumer *half = link->consumer;
	frame_unwatch(link);
	watch_end(link->context, &half->change_watch);
}

static void frame_fired(void *arg, struct fbk_point point, int result);
static void change_fired(void *arg, struct fbk_point point, int result);

static bool next_over(const struct fbk_link *link)
{
	return link->info.phase == FBK_PHASE_ENDED || link->stopped || context_lost(link->context);
}

/* -EAGAIN: fbk_link_next() would wait, for that. Without `held` < `hold` it waits for a release. */
static int next_ready(struct fbk_link *link, struct awaited *awaited)
{
	struct found found;
	if (!link_open(link) || link->consumer->held >= link->consumer->wishes.hold) {
		return -EAGAIN;
	}
	int r = link_find(link, &found, awaited);
	if (r == 0) {
		lane_point_unref(link->context, found.point);
	}
	return r;
}

static int frame_watch_start(struct frame_watch *slot, struct lane_point *point, uint64_t value)
{
	slot->point = lane_point_ref(point);
	return watch_point((struct fbk_point){ point->timeline, value }, frame_fired, slot,
			   &slot->watch);
}

/* The acquire points come first, newest first; the lane's next frame last. */
static int next_watch_points(struct link_consumer *half, const struct awaited *awaited)
{
	size_t acquires = awaited->count - 1;
	int r = frame_watch_start(&half->watches[0], awaited->refs[acquires].point,
				  awaited->points[acquires].value);
	for (size_t i = 0; r == 0 && i < acquires && i < WATCHED_MAX; i++) {
		r = frame_watch_start(&half->watches[1 + i], awaited->refs[i].point,
				      awaited->points[i].value);
	}
	return r;
}

static int next_watch_soon(struct fbk_link *link)
{
	struct frame_watch *slot = &link->consumer->watches[0];
	return watch_dispatch(link->context, frame_fired, slot, &slot->watch);
}

/* Is there something for fbk_link_next() to do? If not, watch for it: for a frame, and for a change, which may be
 * the end, or that frames can come from now on. */
static int next_watch(struct fbk_link *link)
{
	struct link_consumer *half = link->consumer;
	struct awaited awaited;
	frame_unwatch(link);
	int r = link_refresh(link);
	if (r < 0 || next_over(link)) {
		frames_unwatch(link);
		return watch_dispatch(link->context, change_fired, link, &half->change_watch);
	}
	if (!watch_pending(link->context, half->change_watch)) {
		r = watch_point(link_change(link), change_fired, link, &half->change_watch);
	}
	awaited_init(&awaited);
	if (r == 0 && (link_import_due(link) || next_ready(link, &awaited) != -EAGAIN)) {
		r = next_watch_soon(link);
	} else if (r == 0 && awaited.count > 0) {
		r = next_watch_points(half, &awaited);
	}
	awaited_drop(&awaited);
	return r;
}

void frame_released(struct fbk_link *link)
{
	if (link->consumer->next_fn) {
		frame_unwatch(link);
		next_watch_soon(link);
	}
}

/* A change is watched for on and on, whether a frame is asked for or not, since the daemon has to be asked
 * about it. Unlocks. */
static void next_look(struct fbk_link *link)
{
	struct link_consumer *half = link->consumer;
	fbk_next_fn *fn = half->next_fn;
	void *fn_arg = half->next_arg;
	struct awaited awaited;
	awaited_init(&awaited);
	link_refresh(link);
	bool due = fn && (next_over(link) || link_import_due(link) ||
			  next_ready(link, &awaited) != -EAGAIN);
	awaited_drop(&awaited);
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
	struct frame_watch *slot = arg;
	struct fbk_link *link = slot->link;
	(void)point;
	(void)result;
	pthread_mutex_lock(link->lock);
	next_look(link);
}

static void change_fired(void *arg, struct fbk_point point, int result)
{
	struct fbk_link *link = arg;
	(void)point;
	(void)result;
	pthread_mutex_lock(link->lock);
	next_look(link);
}

int fbk_link_watch(struct fbk_link *link, fbk_next_fn *fn, void *arg)
{
	struct link_consumer *half = link->consumer;
	if (link->role != FBK_ROLE_CONSUMER) {
		return error_set(-EINVAL, "this end of the link is the producer's");
	}
	pthread_mutex_lock(link->lock);
	half->next_fn = fn;
	half->next_arg = arg;
	int r = next_watch(link);
	pthread_mutex_unlock(link->lock);
	return r;
}
