// SPDX-License-Identifier: MIT
/* The end of a context: what belongs to it goes without a word to the daemon. */
#include <stdlib.h>

#include "internal.h"
#include "link.h"
#include "request.h"
#include "uring.h"

void context_free_objects(struct fbk_context *context)
{
	watches_free(context);
	uring_free(context);
	exchanges_free(context);
	links_free(context);
	exports_free(context);
	while (!LIST_EMPTY(&context->timelines)) {
		struct fbk_timeline *timeline = LIST_FIRST(&context->timelines);
		LIST_REMOVE(timeline, links);
		timeline_free(timeline);
	}
	while (!LIST_EMPTY(&context->sets)) {
		struct fbk_set *set = LIST_FIRST(&context->sets);
		page_maps_release(context, set);
		LIST_REMOVE(set, links);
		free(set);
	}
	while (!LIST_EMPTY(&context->devices)) {
		struct fbk_device *device = LIST_FIRST(&context->devices);
		page_maps_release(context, device);
		LIST_REMOVE(device, links);
		free(device);
	}
	page_maps_finish(context);
	requests_free(context);
}
