// SPDX-License-Identifier: MIT
/*
 * Syncobjs, and mirrors to and from them. The daemon translates, except for timelines that this
 * process signals in memory: their syncobjs are signalled here, right after the payload, when there
 * is a DRM device to do it with (a syncobj is tied to none). Then the daemon only ends them.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include <xf86drm.h>

#include "internal.h"
#include "proto/drm.h"
#include "request.h"

int fbk_syncobj_create(struct fbk_context *context, int *ret_syncobj_fd)
{
	REQUEST(request, SYNCOBJ_CREATE, syncobj_create);
	return request_fd(context, &request, ret_syncobj_fd);
}

/* ------------------------------------------------------------------------- signalled from here - */

/* Each mirror has a file of its own: its handles die with it, and nothing is shared. */
static bool mirror_open_direct(struct fbk_mirror *mirror, int syncobj_fd)
{
	char driver[32];
	mirror->drm_fd = drm_syncobj_open(driver);
	if (mirror->drm_fd < 0) {
		return false;
	}
	if (drmSyncobjFDToHandle(mirror->drm_fd, syncobj_fd, &mirror->syncobj) == 0) {
		return true;
	}
	close(mirror->drm_fd);
	mirror->drm_fd = -1;
	return false;
}

/* Under the timeline's mirror_lock, so that values only grow: another thread may have signalled more
 * since, and passed us. */
static void mirror_raise(struct fbk_mirror *mirror, uint64_t value)
{
	if (value > mirror->signalled) {
		mirror->signalled = value;
		drmSyncobjTimelineSignal(mirror->drm_fd, &mirror->syncobj, &value, 1);
	}
}

void mirrors_signal(struct fbk_timeline *timeline)
{
	struct fbk_mirror *mirror;
	pthread_mutex_lock(&timeline->mirror_lock);
	uint64_t value = fbk_timeline_value(timeline);
	LIST_FOREACH(mirror, &timeline->mirrors, links) {
		if (mirror->drm_fd >= 0) {
			mirror_raise(mirror, value);
		}
	}
	pthread_mutex_unlock(&timeline->mirror_lock);
}

static void mirror_add(struct fbk_mirror *mirror)
{
	struct fbk_timeline *timeline = mirror->timeline;
	pthread_mutex_lock(&timeline->mirror_lock);
	LIST_INSERT_HEAD(&timeline->mirrors, mirror, links);
	if (mirror->drm_fd >= 0) {
		/* seq_cst: before the payload is read below; a signal stores the payload and then
		 * loads this. One of the two sees the other. */
		atomic_store_explicit(&timeline->mirrored, true, memory_order_seq_cst);
		mirror_raise(mirror, fbk_timeline_value(timeline));
	}
	pthread_mutex_unlock(&timeline->mirror_lock);
}

/* ----------------------------------------------------------------------------- making and ending */

static int mirror_request(struct fbk_mirror *mirror, bool from, int syncobj_fd)
{
	const struct fbk_timeline *timeline = mirror->timeline;
	struct reply reply;
	REQUEST(to, MIRROR_TO, mirror_to, .handle = timeline->handle,
		.direct = mirror->drm_fd >= 0);
	REQUEST(back, MIRROR_FROM, mirror_from, .handle = timeline->handle);
	int r = request_call(timeline->context, from ? &back : &to, &syncobj_fd, 1, 0, &reply);
	if (r < 0) {
		return r;
	}
	if (reply.message->body_case == FBK__WIRE__MESSAGE__BODY_OBJECT) {
		mirror->number = reply.message->object->id;
	}
	reply_finish(&reply);
	return 0;
}

static void mirror_free(struct fbk_mirror *mirror)
{
	if (mirror->drm_fd >= 0) {
		close(mirror->drm_fd);
	}
	free(mirror);
}

static int mirror_create(struct fbk_timeline *timeline, int syncobj_fd, bool from,
			 struct fbk_mirror **ret_mirror)
{
	int kind = fbk_fence_classify(timeline->context, syncobj_fd);
	if (kind != FBK_SYNCOBJ_TIMELINE) {
		return kind < 0 ? kind
				: error_set(-EBADF, "file descriptor %d is no drm_syncobj",
					    syncobj_fd);
	}
	struct fbk_mirror *mirror = calloc(1, sizeof(*mirror));
	if (!mirror) {
		return error_plain(-ENOMEM);
	}
	mirror->timeline = timeline;
	mirror->drm_fd = -1;
	bool signals =
		timeline->rights & FBK_RIGHT_SIGNAL && !(timeline->flags & FBK_TIMELINE_BROKERED);
	if (!from && signals) {
		mirror_open_direct(mirror, syncobj_fd); /* else the daemon does it */
	}
	int r = mirror_request(mirror, from, syncobj_fd);
	if (r < 0) {
		mirror_free(mirror);
		return r;
	}
	mirror_add(mirror);
	*ret_mirror = mirror;
	return 0;
}

int fbk_mirror_to_syncobj(struct fbk_timeline *timeline, int syncobj_fd,
			  struct fbk_mirror **ret_mirror)
{
	return mirror_create(timeline, syncobj_fd, false, ret_mirror);
}

int fbk_mirror_from_syncobj(struct fbk_timeline *timeline, int syncobj_fd,
			    struct fbk_mirror **ret_mirror)
{
	return mirror_create(timeline, syncobj_fd, true, ret_mirror);
}

void fbk_mirror_destroy(struct fbk_mirror *mirror)
{
	if (!mirror) {
		return;
	}
	struct fbk_timeline *timeline = mirror->timeline;
	REQUEST(request, MIRROR_DESTROY, mirror_destroy, .mirror = mirror->number);
	pthread_mutex_lock(&timeline->mirror_lock);
	LIST_REMOVE(mirror, links);
	pthread_mutex_unlock(&timeline->mirror_lock);
	request_do(timeline->context, &request); /* a daemon that is gone has none any more */
	mirror_free(mirror);
}

void mirrors_free(struct fbk_timeline *timeline)
{
	while (!LIST_EMPTY(&timeline->mirrors)) {
		struct fbk_mirror *mirror = LIST_FIRST(&timeline->mirrors);
		LIST_REMOVE(mirror, links);
		mirror_free(mirror);
	}
	pthread_mutex_destroy(&timeline->mirror_lock);
}
