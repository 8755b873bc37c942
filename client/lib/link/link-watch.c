// SPDX-License-Identifier: MIT
#include "link-watch.h"

#include <errno.h>

#include "client/lib/call.h"
#include "client/lib/context.h"
#include "client/lib/error.h"
#include "client/lib/watch-arm.h"
#include "link-consumer.h"
#include "link-handle.h"
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

static void next_fired(void *arg, struct fbk_point point, int result);

static bool next_over(const struct fbk_link *link)
{
	return link->info.phase == FBK_PHASE_ENDED || link->stopped ||
	       context_lost(link->context) || context_flushing(link->context);
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
	return watch_point(slot->link, (struct fbk_point){ point->timeline, value }, next_fired,
			   slot->link, &slot->watch);
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
	return watch_soon(link->context, &(struct callback){ link, next_fired, link },
			  &link->consumer->watches[0].watch);
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
		return watch_soon(link->context, &(struct callback){ link, next_fired, link },
				  &half->change_watch);
	}
	if (!watch_pending(link->context, half->change_watch)) {
		r = watch_point(link, link_change(link), next_fired, link, &half->change_watch);
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

/* The call is the program's from here on; unlocks. */
static void next_call(struct fbk_link *link)
{
	struct link_consumer *half = link->consumer;
	struct fbk_context *context = link->context;
	fbk_next_fn *fn = half->next_fn;
	void *arg = half->next_arg;
	struct call call;
	frame_unwatch(link);
	half->next_fn = NULL;
	call_enter(&context->calls, &call, half->next_number, link);
	link_unlock(link);
	fn(arg, link); /* which may close it */
	call_leave(&context->calls, &call);
}

/* Whether a frame is asked for still or not, the daemon has to be asked about a change. */
static void next_fired(void *arg, struct fbk_point point, int result)
{
	struct fbk_link *link = arg;
	struct awaited awaited;
	(void)point;
	(void)result;
	link_lock(link);
	if (!link->closing) {
		link_refresh(link);
	}
	if (!link->consumer->next_fn) { /* cancelled, or it closes */
		link_unlock(link);
		return;
	}
	awaited_init(&awaited);
	bool due =
		next_over(link) || link_import_due(link) || next_ready(link, &awaited) != -EAGAIN;
	awaited_drop(&awaited);
	if (due) {
		next_call(link);
	} else {
		next_watch(link);
		link_unlock(link);
	}
}

static void next_stop(struct fbk_watch *handle)
{
	struct fbk_link *link = link_of_handle(handle);
	link_lock(link);
	if (link->consumer->next_number == handle->number) { /* else a later one replaced it */
		link->consumer->next_fn = NULL;
		frame_unwatch(link);
	}
	link_unlock(link);
}

static const struct handle_ops next_handle = { .stop = next_stop, .free = link_handle_free };

int fbk_link_watch(struct fbk_link *link, fbk_next_fn *fn, void *arg, struct fbk_watch **ret_watch)
{
	int mine = link_check(link);
	if (mine < 0) {
		return mine;
	}
	struct link_consumer *half = link->consumer;
	struct fbk_watch *handle = NULL;
	if (link->role != FBK_ROLE_CONSUMER) {
		return error_set(-EPERM, "this end of the link is the producer's");
	}
	int r = ret_watch ? link_handle_create(link, &next_handle, &handle) : 0;
	if (r < 0) {
		return r;
	}
	link_lock(link);
	half->next_fn = fn;
	half->next_arg = arg;
	half->next_number = link_call_number(link, handle);
	r = next_watch(link);
	if (r == 0 && ret_watch) {
		*ret_watch = handle; /* none is called under the lock */
	}
	link_unlock(link);
	if (r < 0) {
		handle_cancel(handle);
	}
	return r;
}
