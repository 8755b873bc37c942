// SPDX-License-Identifier: MIT
#include "awaited.h"

#include <errno.h>

#include "client/lib/context.h"
#include "client/lib/error.h"
#include "client/lib/point.h"
#include "lane.h"
#include "link.h"

static void awaited_put(struct awaited *awaited, struct fbk_point point, struct awaited_ref ref)
{
	awaited->points[awaited->count] = point;
	awaited->refs[awaited->count++] = ref;
}

void awaited_add(struct awaited *awaited, struct fbk_point point)
{
	awaited_put(awaited, point, (struct awaited_ref){ NULL, NULL, NULL });
}

void awaited_add_lane(struct awaited *awaited, const struct fbk_link *link,
		      struct lane_point *point, uint64_t value)
{
	awaited_put(awaited, (struct fbk_point){ point->timeline, value },
		    (struct awaited_ref){ link, lane_point_ref(point), NULL });
}

void awaited_add_owned(struct awaited *awaited, struct fbk_point point)
{
	awaited_put(awaited, point, (struct awaited_ref){ NULL, NULL, point.timeline });
}

void awaited_drop(struct awaited *awaited)
{
	while (awaited->count > 0) {
		struct awaited_ref *ref = &awaited->refs[--awaited->count];
		if (ref->point) {
			lane_point_unref(ref->link->context, ref->point);
		}
		fbk_timeline_close(ref->timeline);
	}
}

int awaited_wait(struct awaited *awaited, const struct fbk_context *context, uint64_t deadline_ns)
{
	int r = points_wait_any(awaited->points, awaited->count, deadline_ns);
	awaited_drop(awaited);
	switch (r) {
	case -ETIMEDOUT:
		return error_fixed(r, "the deadline passed");
	case -ENOTCONN:
		return error_lost();
	case -EBADF:
		return error_child();
	case -ECANCELED:
		return flushing_error();
	default:
		return context_flushing(context) ? flushing_error() : 0;
	}
}
