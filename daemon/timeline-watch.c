// SPDX-License-Identifier: MIT
#include "timeline-watch.h"

#include <errno.h>
#include <stdlib.h>

#include "broker.h"
#include "payload.h"
#include "proto/container.h"
#include "proto/narrow.h"
#include "timeline.h"
#include "watcher.h"

/* Apart from the timeline, so that those that nobody polls stay small. */
struct timeline_watch {
	struct timeline *timeline;
	struct watched watched;
};

static void timeline_watch_hit(struct watched *watched)
{
	struct timeline *timeline = container_of(watched, struct timeline_watch, watched)->timeline;
	timeline_broker(timeline)->counters.watcher_hits++;
	timeline_look(timeline);
	if (timeline->watched) {
		timeline_watch_update(timeline); /* where the look had nothing to publish */
	}
}

int timeline_watch_create(struct timeline *timeline)
{
	if (!timeline_broker(timeline)->watcher) {
		return 0;
	}
	struct timeline_watch *watch = calloc(1, sizeof(*watch));
	if (!watch) {
		return -ENOMEM;
	}
	watch->timeline = timeline;
	watch->watched.narrow = timeline->narrow;
	watch->watched.hit = timeline_watch_hit;
	timeline->watched = &watch->watched;
	return 0;
}

void timeline_watch_destroy(struct timeline *timeline)
{
	if (timeline->watched) {
		watcher_disarm(timeline_broker(timeline)->watcher, timeline->watched);
		free(container_of(timeline->watched, struct timeline_watch, watched));
		timeline->watched = NULL;
	}
}

void timeline_watch_update(struct timeline *timeline)
{
	struct watcher *watcher = timeline_broker(timeline)->watcher;
	uint64_t value = timeline_monitored(timeline);
	if (value == FBK_MONITORED_NONE || timeline->cause != FBK_CAUSE_NONE) {
		watcher_disarm(watcher, timeline->watched);
		return;
	}
	/* Looked at also when it has risen so far that it must not rise further unseen. */
	uint64_t far = timeline->narrow ? FBK_NARROW_STEP : payload_max_jump(timeline) + 1;
	if (value > timeline->seen && value - timeline->seen > far) {
		value = timeline->seen + far;
	}
	watcher_arm(watcher, timeline->watched, timeline_payload(timeline), timeline->seen, value);
}
