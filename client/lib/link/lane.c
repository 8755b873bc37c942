// SPDX-License-Identifier: MIT
#include "lane.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "client/lib/context.h"
#include "client/lib/error.h"
#include "proto/fd.h"

int lane_raise(const struct lane *lane)
{
	int r;
	do { /* -EALREADY: another thread raised it, maybe before the table was written */
		r = fbk_timeline_signal(lane->timeline, fbk_timeline_value(lane->timeline) + 1);
	} while (r == -EALREADY);
	return r;
}

int lane_give_back(const struct lane *lane, const struct lane_return *back)
{
	lane_return_write(&lane->page, back);
	return lane_raise(lane);
}

int lane_point_create(struct fbk_timeline *timeline, uint32_t incarnation,
		      struct lane_point **ret_point)
{
	struct lane_point *point = calloc(1, sizeof(*point));
	if (!point) {
		fbk_timeline_close(timeline);
		return error_plain(-ENOMEM);
	}
	atomic_init(&point->refs, 1);
	point->timeline = timeline;
	point->incarnation = incarnation;
	point->syncobj = -1;
	*ret_point = point;
	return 0;
}

struct lane_point *lane_point_ref(struct lane_point *point)
{
	/* relaxed: whoever adds one has one */
	atomic_fetch_add_explicit(&point->refs, 1, memory_order_relaxed);
	return point;
}

void lane_point_unref(const struct fbk_context *context, struct lane_point *point)
{
	/* acq_rel: the last one frees what the others used */
	if (!point || atomic_fetch_sub_explicit(&point->refs, 1, memory_order_acq_rel) > 1) {
		return;
	}
	if (point->syncobj >= 0) {
		fd_close(point->syncobj);
	}
	if (context) {
		fbk_mirror_destroy(point->mirror);
		fbk_timeline_close(point->timeline);
	}
	free(point);
}

int lane_point_syncobj(struct lane_point *point, int *ret_fd)
{
	if (point->syncobj < 0) {
		int fd;
		int r = fbk_syncobj_create(point->timeline->context, &fd);
		if (r < 0) {
			return r;
		}
		r = fbk_mirror_to_syncobj(point->timeline, fd, &point->mirror);
		if (r < 0) {
			fd_close(fd);
			return r;
		}
		point->syncobj = fd;
	}
	int fd = fcntl(point->syncobj, F_DUPFD_CLOEXEC, 0);
	if (fd < 0) {
		return error_plain(-errno);
	}
	*ret_fd = fd;
	return 0;
}

struct lane_point *peer_point_find(const struct link_peer *peer,
				   const struct fbk_timeline *timeline)
{
	for (uint32_t i = 1; i <= FBK_LANE_POINTS; i++) {
		if (peer->points[i] && peer->points[i]->timeline == timeline) {
			return peer->points[i];
		}
	}
	return peer->self && peer->self->timeline == timeline ? peer->self : NULL;
}

void peer_drop(struct fbk_context *context, struct link_peer *peer)
{
	for (uint32_t i = 1; i <= FBK_LANE_POINTS; i++) {
		lane_point_unref(context, peer->points[i]);
	}
	if (peer->claims && context) {
		pthread_mutex_lock(&context->mutex);
		page_map_put(peer->claims);
		pthread_mutex_unlock(&context->mutex);
	}
	lane_point_unref(context, peer->self);
	*peer = (struct link_peer){ 0 };
}
