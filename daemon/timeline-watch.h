// SPDX-License-Identifier: MIT
/*
 * A timeline of a silent device, as the watcher polls it: while a point is monitored, and no longer.
 * Loop's thread only.
 */
#pragma once

struct timeline;

/* Where there is a watcher. -ENOMEM. */
int timeline_watch_create(struct timeline *timeline);
void timeline_watch_destroy(
	struct timeline *timeline); /* its payload is let go of; no-op without */

/* The monitored value changed. */
void timeline_watch_update(struct timeline *timeline);
