// SPDX-License-Identifier: MIT
/* One point of a drm_syncobj, or the fence that a binary one holds. */
#include <errno.h>
#include <stdlib.h>

#include "client/include/fencebroker.h"
#include "notifier.h"
#include "syncobj-follow.h"

static void syncobj_stop(void *opaque)
{
	struct syncobj_follow *follow = opaque;
	if (follow) {
		syncobj_follow_finish(follow);
		free(follow);
	}
}

static int syncobj_start(struct translator *translator, const struct fence *fence, notifier_fn *fn,
			 void *arg, void **ret_state, char *detail)
{
	struct syncobj_follow *follow = malloc(sizeof(*follow));
	if (!follow) {
		return -ENOMEM;
	}
	int r = syncobj_follow_init(follow, translator, fence, fn, arg, detail);
	if (r < 0) {
		free(follow);
		return r;
	}
	r = syncobj_follow_next(follow, fence->point, detail);
	if (r < 0) {
		syncobj_stop(follow);
		return r;
	}
	*ret_state = follow;
	return 0;
}

static int syncobj_look(void *opaque)
{
	return syncobj_follow_look(opaque);
}

static void syncobj_hint(void *opaque, uint64_t deadline_ns)
{
	syncobj_follow_hint(opaque, deadline_ns);
}

static bool syncobj_promised(const void *opaque)
{
	const struct syncobj_follow *follow = opaque;
	return follow->sync_file < 0; /* nothing is submitted */
}

const struct notifier notifier_syncobj = {
	.name = "syncobj",
	.kind = FBK_FENCE_SYNCOBJ_TIMELINE,
	.start = syncobj_start,
	.stop = syncobj_stop,
	.look = syncobj_look,
	.promised = syncobj_promised,
	.hint = syncobj_hint,
};
