// SPDX-License-Identifier: MIT
/*
 * Exports whose points are not reached yet. The daemon raises them; a program that waits for one polls an fd, and
 * sees no hang-up. So a duplicate stays here, and when the daemon is gone all that are left are raised:
 * fbk_point_check() then gives the reason.
 */
#include "export.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "clock.h"
#include "context.h"
#include "error.h"
#include "guard.h"
#include "point.h"
#include "proto/container.h"
#include "proto/fd.h"
#include "request.h"
#include "timeline.h"

#define SWEEP_AT 16

struct exports {
	struct child child; /* of the context */
	LIST_HEAD(, export) list;
	size_t count, sweep_at;
};

struct export
{
	LIST_ENTRY(export) links;
	struct child child; /* of the timeline, while that is open */
	struct fbk_point point;
	bool closed; /* the timeline was, and its memory is kept */
	uint64_t deadline_ns;
	int fd;
};

static void export_free(struct exports *exports, struct export *export)
{
	LIST_REMOVE(export, links);
	child_remove(&export->child);
	if (export->closed) {
		timeline_unref(export->point.timeline);
	}
	exports->count--;
	fd_close(export->fd);
	free(export);
}

static bool export_over(const struct export *export, uint64_t now)
{
	return now >= export->deadline_ns ||
	       timeline_check(export->point.timeline, export->point.value) != -EAGAIN;
}

/* Close those that are over. It runs once as many were added as were left the last time: what an export
 * costs does not grow with their number. */
static void exports_sweep(struct exports *exports)
{
	uint64_t now = now_ns();
	struct export *export = LIST_FIRST(&exports->list);
	while (export) {
		struct export *next = LIST_NEXT(export, links);
		if (export_over(export, now)) {
			export_free(exports, export);
		}
		export = next;
	}
	exports->sweep_at = 2 * exports->count + SWEEP_AT;
}

/* It must not block, and its other holder may have filled it and cleared O_NONBLOCK: then it is readable
 * already. */
static void export_raise(int fd)
{
	struct pollfd entry = { .fd = fd, .events = POLLOUT };
	if (fd_poll(&entry, 1, 0) == 1 && entry.revents & POLLOUT) {
		event_raise(fd);
	}
}

static void exports_lost(struct child *child)
{
	struct exports *exports = container_of(child, struct exports, child);
	while (!LIST_EMPTY(&exports->list)) {
		struct export *export = LIST_FIRST(&exports->list);
		export_raise(export->fd);
		export_free(exports, export);
	}
}

static void exports_drop(struct child *child)
{
	struct exports *exports = container_of(child, struct exports, child);
	while (!LIST_EMPTY(&exports->list)) {
		export_free(exports, LIST_FIRST(&exports->list));
	}
	free(exports);
}

static const struct child_ops exports_child = { .lost = exports_lost, .drop = exports_drop };

int exports_create(struct fbk_context *context)
{
	context->exports = calloc(1, sizeof(*context->exports));
	if (!context->exports) {
		return error_plain(-ENOMEM);
	}
	child_add(&context->children, &context->exports->child, &exports_child);
	return 0;
}

/* The timeline closes. An export that is undecided outlives it. */
static void export_drop(struct child *child)
{
	struct export *export = container_of(child, struct export, child);
	struct fbk_timeline *timeline = export->point.timeline;
	if (timeline_check(timeline, export->point.value) != -EAGAIN) {
		export_free(timeline->context->exports, export);
		return;
	}
	timeline_ref(timeline);
	export->closed = true;
}

static const struct child_ops export_child = { .drop = export_drop };

static int export_keep(struct fbk_point point, uint64_t deadline_ns, int fd)
{
	struct fbk_context *context = point.timeline->context;
	struct exports *exports = context->exports;
	struct export *export = calloc(1, sizeof(*export));
	if (!export) {
		return error_plain(-ENOMEM);
	}
	export->point = point;
	export->deadline_ns = deadline_bound(context, deadline_ns, now_ns());
	export->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (export->fd < 0) {
		int r = error_plain(-errno);
		free(export);
		return r;
	}
	pthread_mutex_lock(&context->mutex);
	if (context_closed(context)) {
		export_raise(export->fd);
	}
	LIST_INSERT_HEAD(&exports->list, export, links);
	child_add(&point.timeline->children, &export->child, &export_child);
	if (++exports->count > exports->sweep_at) {
		exports_sweep(exports);
	}
	pthread_mutex_unlock(&context->mutex);
	return 0;
}

/* The point that is always reached, as an fd. */
static int export_signalled(enum fbk_fence_kind kind, int *ret_fd)
{
	if (kind != FBK_FENCE_EVENTFD) {
		return error_set(-EOPNOTSUPP, "the signalled point is exported as an eventfd only");
	}
	int fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
	if (fd < 0) {
		return error_of_call("eventfd2", -errno);
	}
	*ret_fd = fd;
	return 0;
}

/* The daemon may have it, and nobody else has. */
static void export_forget(struct fbk_context *context, uint32_t id)
{
	REQUEST(request, EXPORT_CANCEL, export_cancel, .export = id);
	request_quiet_end(context, &request);
}

static int export_request(struct fbk_point point, enum fbk_fence_kind kind, uint64_t deadline_ns,
			  uint32_t *ret_id, int *ret_fd)
{
	struct fbk_context *context = point.timeline->context;
	uint32_t id = id_take(&context->ids);
	REQUEST(request, POINT_EXPORT, point_export, .handle = point.timeline->handle,
		.value = point.value, .kind = kind, .deadline_ns = deadline_ns, .export = id);
	int r = request_fd(context, &request, ret_fd);
	if (id_uncertain(r)) {
		export_forget(context, id);
	}
	*ret_id = id;
	return r;
}

static int export_eventfd(struct fbk_point point, uint64_t deadline_ns, int *ret_fd)
{
	uint32_t id;
	int fd;
	int r = guard_start(point.timeline->context);
	if (r == 0) {
		r = export_request(point, FBK_FENCE_EVENTFD, deadline_ns, &id, &fd);
	}
	if (r < 0) {
		return r;
	}
	r = export_keep(point, deadline_ns, fd);
	if (r < 0) {
		export_forget(point.timeline->context, id);
		fd_close(fd);
		return r;
	}
	*ret_fd = fd;
	return 0;
}

/* With its timeline, which another thread may close meanwhile. */
static int export_wait(struct fbk_point point, uint64_t deadline_ns)
{
	struct fbk_context *context = point.timeline->context;
	pthread_mutex_lock(&context->mutex);
	timeline_ref(point.timeline);
	pthread_mutex_unlock(&context->mutex);
	int r = fbk_point_wait(point, deadline_ns);
	pthread_mutex_lock(&context->mutex);
	timeline_unref(point.timeline);
	pthread_mutex_unlock(&context->mutex);
	return r;
}

int fbk_point_export(struct fbk_point point, enum fbk_fence_kind kind, uint64_t deadline_ns,
		     int *ret_fd)
{
	if (!point.timeline) {
		return export_signalled(kind, ret_fd);
	}
	int mine = context_check(point.timeline->context);
	if (mine < 0) {
		return mine;
	}
	if (kind == FBK_FENCE_EVENTFD) {
		return export_eventfd(point, deadline_ns, ret_fd);
	}
	if (kind == FBK_FENCE_SYNC_FILE) {
		if (fbk_feature(point.timeline->context, FBK_FEATURE_EXPORT_SYNC_FILE, NULL) == 0) {
			return error_set(-EOPNOTSUPP, "the daemon has nothing to make a sync_file "
						      "with: see `fencectl doctor`");
		}
		int r = export_wait(point, deadline_ns);
		if (r < 0) {
			return r;
		}
	}
	uint32_t id;
	return export_request(point, kind, deadline_ns, &id, ret_fd);
}

int fbk_point_export_to_syncobj(struct fbk_point point, int syncobj_fd, uint64_t syncobj_point,
				uint64_t deadline_ns)
{
	if (!point.timeline) {
		return error_set(-EINVAL, "that point is reached: signal the syncobj itself");
	}
	if (fcntl(syncobj_fd, F_GETFD) < 0) {
		return error_set(-EBADF, "%d is not an open file descriptor", syncobj_fd);
	}
	struct fbk_context *context = point.timeline->context;
	uint32_t id = id_take(&context->ids);
	REQUEST(request, POINT_EXPORT_TO, point_export_to, .handle = point.timeline->handle,
		.value = point.value, .syncobj_point = syncobj_point, .deadline_ns = deadline_ns,
		.export = id);
	int r = request_do_fds(context, &request, &syncobj_fd, 1);
	if (id_uncertain(r)) {
		export_forget(context, id);
	}
	return r;
}
