// SPDX-License-Identifier: MIT
/*
 * Syncobjs, and mirrors to and from them. The daemon translates, except for timelines that this
 * process signals in memory: their syncobjs are signalled here, right after the payload, when there
 * is a DRM device to do it with (a syncobj is tied to none). Then the daemon only ends them.
 */
#include "mirror.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include <xf86drm.h>

#include "context.h"
#include "error.h"
#include "proto/container.h"
#include "proto/drm.h"
#include "proto/fd.h"
#include "request.h"
#include "timeline.h"

struct fbk_mirror {
	struct child child;            /* of the context */
	LIST_ENTRY(fbk_mirror) links;  /* of the timeline's */
	struct fbk_timeline *timeline; /* counted */
	bool from;                     /* the timeline follows it */
	uint32_t number;               /* the daemon's */
	int drm_fd;                    /* signalled from here; -1: by the daemon */
	uint32_t syncobj;              /* there */
	uint64_t signalled;            /* the last value */
};

/* All mirrors of one timeline; its child, made with the first of them. They keep it when the timeline closes. */
struct mirrors {
	struct child child;
	unsigned int refs;    /* under the context's mutex */
	pthread_mutex_t lock; /* a leaf: nothing else is locked under it */
	LIST_HEAD(, fbk_mirror) list;
};

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
	fd_close(mirror->drm_fd);
	mirror->drm_fd = -1;
	return false;
}

/* Under the mirrors' lock, so that values only grow: another thread may have signalled more
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
	struct mirrors *mirrors = timeline->mirrors;
	struct fbk_mirror *mirror;
	pthread_mutex_lock(&mirrors->lock);
	uint64_t value = fbk_timeline_value(timeline);
	LIST_FOREACH(mirror, &mirrors->list, links) {
		if (mirror->drm_fd >= 0) {
			mirror_raise(mirror, value);
		}
	}
	pthread_mutex_unlock(&mirrors->lock);
}

/* ----------------------------------------------------------------------------- making and ending */

static void mirror_forget(struct fbk_context *context, uint32_t number)
{
	REQUEST(request, MIRROR_DESTROY, mirror_destroy, .mirror = number);
	request_quiet_end(context, &request);
}

static int mirror_request(struct fbk_mirror *mirror, bool from, int syncobj_fd)
{
	const struct fbk_timeline *timeline = mirror->timeline;
	struct reply reply;
	uint32_t number = id_take(&timeline->context->ids);
	REQUEST(to, MIRROR_TO, mirror_to, .handle = timeline->handle, .direct = mirror->drm_fd >= 0,
		.mirror = number);
	REQUEST(back, MIRROR_FROM, mirror_from, .handle = timeline->handle, .mirror = number);
	int r = request_call(timeline->context, from ? &back : &to, &syncobj_fd, 1, 0, &reply);
	if (id_uncertain(r)) {
		mirror_forget(timeline->context, number);
	}
	if (r == 0) {
		mirror->number = number;
		reply_finish(&reply);
	}
	return r;
}

static void mirror_free(struct fbk_mirror *mirror)
{
	if (mirror->drm_fd >= 0) {
		fd_close(mirror->drm_fd);
	}
	free(mirror);
}

static void mirrors_unref(struct mirrors *mirrors)
{
	if (--mirrors->refs == 0) {
		pthread_mutex_destroy(&mirrors->lock);
		free(mirrors);
	}
}

/* The timeline closes: it is signalled no more. */
static void mirrors_drop(struct child *child)
{
	mirrors_unref(container_of(child, struct mirrors, child));
}

static const struct child_ops mirrors_child = { .drop = mirrors_drop };

/* Off the list. Under the context's mutex, or at its end. */
static void mirror_end(struct fbk_mirror *mirror)
{
	mirrors_unref(mirror->timeline->mirrors);
	timeline_unref(mirror->timeline);
	mirror_free(mirror);
}

/* At the end of the context. */
static void mirror_drop(struct child *child)
{
	struct fbk_mirror *mirror = container_of(child, struct fbk_mirror, child);
	LIST_REMOVE(mirror, links);
	mirror_end(mirror);
}

static const struct child_ops mirror_child = { .drop = mirror_drop };

static void mirror_add(struct fbk_mirror *mirror)
{
	struct fbk_timeline *timeline = mirror->timeline;
	struct mirrors *mirrors = timeline->mirrors;
	pthread_mutex_lock(&timeline->context->mutex);
	timeline_ref(timeline);
	mirrors->refs++;
	child_add(&timeline->context->children, &mirror->child, &mirror_child);
	pthread_mutex_unlock(&timeline->context->mutex);
	pthread_mutex_lock(&mirrors->lock);
	LIST_INSERT_HEAD(&mirrors->list, mirror, links);
	if (mirror->drm_fd >= 0) {
		/* seq_cst: before the payload is read below; a signal stores the payload and then
		 * loads this. One of the two sees the other. */
		atomic_store_explicit(&timeline->mirrored, true, memory_order_seq_cst);
		mirror_raise(mirror, fbk_timeline_value(timeline));
	}
	pthread_mutex_unlock(&mirrors->lock);
}

static int mirrors_create(struct fbk_timeline *timeline)
{
	struct fbk_context *context = timeline->context;
	int r = 0;
	pthread_mutex_lock(&context->mutex);
	if (!timeline->mirrors) {
		struct mirrors *mirrors = calloc(1, sizeof(*mirrors));
		if (mirrors) {
			pthread_mutex_init(&mirrors->lock, NULL);
			mirrors->refs = 1;
			child_add(&timeline->children, &mirrors->child, &mirrors_child);
			timeline->mirrors = mirrors;
		} else {
			r = error_plain(-ENOMEM);
		}
	}
	pthread_mutex_unlock(&context->mutex);
	return r;
}

static int mirror_create(struct fbk_timeline *timeline, int syncobj_fd, bool from,
			 struct fbk_mirror **ret_mirror)
{
	int mine = context_check(timeline->context);
	int kind = mine < 0 ? mine : fbk_fence_classify(timeline->context, syncobj_fd);
	if (kind != FBK_FENCE_SYNCOBJ_TIMELINE) {
		return kind < 0 ? kind
				: error_set(-EBADF, "file descriptor %d is not a drm_syncobj",
					    syncobj_fd);
	}
	int r = mirrors_create(timeline);
	if (r < 0) {
		return r;
	}
	struct fbk_mirror *mirror = calloc(1, sizeof(*mirror));
	if (!mirror) {
		return error_plain(-ENOMEM);
	}
	mirror->timeline = timeline;
	mirror->drm_fd = -1;
	mirror->from = from;
	bool signals =
		timeline->rights & FBK_RIGHT_SIGNAL && !(timeline->flags & FBK_TIMELINE_BROKERED);
	if (!from && signals) {
		mirror_open_direct(mirror, syncobj_fd); /* else the daemon does it */
	}
	r = mirror_request(mirror, from, syncobj_fd);
	if (r < 0) {
		mirror_free(mirror);
		return r;
	}
	pthread_mutex_lock(&timeline->context->mutex);
	timeline->follows += from;
	pthread_mutex_unlock(&timeline->context->mutex);
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
	if (!mirror || context_check(mirror->timeline->context) < 0) {
		return;
	}
	ERRORS_KEPT();
	struct fbk_timeline *timeline = mirror->timeline;
	struct fbk_context *context = timeline->context;
	REQUEST(request, MIRROR_DESTROY, mirror_destroy, .mirror = mirror->number);
	pthread_mutex_lock(&context->mutex);
	bool open = timeline->opens > 0;
	child_remove(&mirror->child);
	pthread_mutex_lock(&timeline->mirrors->lock);
	LIST_REMOVE(mirror, links);
	pthread_mutex_unlock(&timeline->mirrors->lock);
	timeline->follows -= mirror->from;
	mirror_end(mirror);
	pthread_mutex_unlock(&context->mutex);
	if (open) { /* else it ended with its timeline */
		request_quiet_end(context, &request);
	}
}
