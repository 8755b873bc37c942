// SPDX-License-Identifier: MIT
/* Asks a daemon without promises for one, though its policy allows them. Prints the two sentences; 0: refused as documented. */
#include <errno.h>
#include <fencebroker.h>
#include <stdio.h>
#include <stdlib.h>

static void need(int ok, const char *what)
{
	if (!ok) {
		fprintf(stderr, "%s: %s\n", what, fbk_error_detail());
		exit(1);
	}
}

int main(void)
{
	struct fbk_context *context;
	struct fbk_device *device;
	struct fbk_timeline *timeline;
	const char *why = "";
	int fd = -1;
	struct fbk_device_desc desc = { .struct_size = sizeof(desc) };
	desc.name = "lab0";
	desc.device_class = FBK_CLASS_GPU;
	desc.waits = FBK_FENCE_MEMORY64;
	desc.signals = FBK_FENCE_MEMORY64;
	need(fbk_connect(NULL, &context) == 0, "connect");
	need(fbk_device_register(context, &desc, &device) == 0, "register");
	need(fbk_timeline_create(device, NULL, "t", 0, &timeline) == 0, "timeline");
	need(fbk_feature(context, FBK_FEATURE_PROMISE, &why) == 0, "the feature is there");
	puts(why);
	need(fbk_point_promise((struct fbk_point){ timeline, 1 }, &fd) == -EOPNOTSUPP && fd == -1,
	     "a promise");
	puts(fbk_error_detail());
	/* Reached or not: it is the call that this build does not have. */
	need(fbk_timeline_signal(timeline, 1) == 0, "signal");
	need(fbk_point_promise((struct fbk_point){ timeline, 1 }, &fd) == -EOPNOTSUPP,
	     "a promise of a reached point");
	fbk_disconnect(context);
	return 0;
}
