// SPDX-License-Identifier: MIT
/*
 * A drm_syncobj, whose point the daemon signals once the timeline's point is decided: a new one, or one that a client
 * passed. Before that the point has no fence, so the kernel waits for nothing of ours: that makes it legal.
 */
#include <errno.h>
#include <stdio.h>

#include "client/include/fencebroker.h"
#include "provider.h"
#include "translator.h"

static int syncobj_probe(struct translator *translator, char *why)
{
	if (!translator->drm.file) {
		snprintf(why, FBK_REASON_SIZE,
			 "no DRM device here has syncobj timelines: see `fencectl doctor`");
		return -EOPNOTSUPP;
	}
	return 0;
}

static int syncobj_make(struct translator *translator, int *ret_fd, union provided *ret_provided)
{
	struct syncobj syncobj;
	int r = syncobj_create(&translator->drm, &syncobj);
	if (r < 0) {
		return r;
	}
	r = syncobj_fd(&syncobj, ret_fd);
	if (r < 0) {
		syncobj_close(&syncobj);
		return r;
	}
	ret_provided->syncobj = syncobj;
	return 0;
}

static int syncobj_fire(struct translator *translator, union provided *provided, uint64_t point,
			int result)
{
	(void)translator;
	return syncobj_signal(&provided->syncobj, result < 0 ? SYNCOBJ_FAILED : point);
}

static void syncobj_destroy(struct translator *translator, union provided *provided)
{
	(void)translator;
	syncobj_close(&provided->syncobj);
}

const struct provider provider_syncobj = {
	.name = "syncobj",
	.kind = FBK_FENCE_SYNCOBJ_TIMELINE,
	.fds = 2,
	.probe = syncobj_probe,
	.create = syncobj_make,
	.fire = syncobj_fire,
	.destroy = syncobj_destroy,
};

static int syncobj_point_fire(struct translator *translator, union provided *provided,
			      uint64_t point, int result)
{
	(void)translator;
	return result < 0 ? 0 : syncobj_signal(&provided->syncobj, point);
}

const struct provider provider_syncobj_point = {
	.name = "syncobj",
	.kind = FBK_FENCE_SYNCOBJ_TIMELINE,
	.fds = 1,
	.probe = syncobj_probe,
	.fire = syncobj_point_fire,
	.destroy = syncobj_destroy,
};
