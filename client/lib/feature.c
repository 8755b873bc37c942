// SPDX-License-Identifier: MIT
#include <stddef.h>

#include "context.h"

/* Why a feature may be missing, whatever the daemon says. */
static const char *const reasons[] = {
	[FBK_FEATURE_TIMELINES] = "the daemon does not offer it",
	[FBK_FEATURE_WATCHES] = "the daemon does not offer it",
	[FBK_FEATURE_SHARING] = "the daemon does not offer it",
	[FBK_FEATURE_EXPORT_EVENTFD] =
		"the daemon's kernel gave it no AIO context: see `fencectl doctor`",
	[FBK_FEATURE_IMPORT_EVENTFD] = "the daemon does not offer it",
	[FBK_FEATURE_EXPORT_SYNC_FILE] =
		"the daemon has nothing to make a sync_file with: see `fencectl doctor`",
	[FBK_FEATURE_IMPORT_SYNC_FILE] =
		"the daemon has no sync_file to confirm others with: see `fencectl doctor`",
	[FBK_FEATURE_SYNCOBJ] = "the daemon has no DRM device with syncobj timelines",
	[FBK_FEATURE_DMA_BUF_IMPLICIT] =
		"the daemon has no sync_file to confirm others with: see `fencectl doctor`",
	[FBK_FEATURE_PROMISE] = "promises are a lab's tool: not in this build of the daemon, off "
				"by policy, or nothing "
				"makes them; `fencectl status` says which",
	[FBK_FEATURE_MIRRORS] =
		"the daemon has no DRM device with syncobj timelines and DRM_IOCTL_SYNCOBJ_EVENTFD",
	[FBK_FEATURE_GATES] = "the daemon does not offer it",
	[FBK_FEATURE_LINKS] = "the daemon does not offer it",
	[FBK_FEATURE_EXCHANGES] = "the daemon does not offer it",
	[FBK_FEATURE_TIMELINE_MEMORY] =
		"the daemon has no /dev/udmabuf to make dma-bufs of fence pages",
	[FBK_FEATURE_MEMORY32] = "the daemon has 64-bit payloads only",
	[FBK_FEATURE_RECONNECT] = "this version does not reconnect: connect anew",
};

int fbk_feature(struct fbk_context *context, enum fbk_feature feature, const char **ret_why)
{
	size_t count = sizeof(reasons) / sizeof(reasons[0]);
	const char *why = "no such feature";
	if ((size_t)feature > 0 && (size_t)feature < count) {
		/* relaxed: publishes nothing else */
		uint64_t features = atomic_load_explicit(&context->features, memory_order_relaxed);
		if (features & (UINT64_C(1) << feature)) {
			return 1;
		}
		why = reasons[feature];
	}
	if (ret_why) {
		*ret_why = why;
	}
	return 0;
}
