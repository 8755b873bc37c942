// SPDX-License-Identifier: MIT
/* How timelines are made, how they lose their signaler, and how they go. */
#include "timeline.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/param.h>

#include "daemon/base/clock.h"
#include "payload.h"
#include "proto/mutant.h"
#include "watcher.h"

static struct timeline *timeline_alloc(const char *name)
{
	size_t length = strlen(name) + 1;
	size_t size = offsetof(struct timeline, name) + length;
	struct timeline *timeline = calloc(1, MAX(size, sizeof(*timeline)));
	if (timeline) {
		memcpy(timeline->name, name, length);
	}
	return timeline;
}

static void timeline_free(struct timeline *timeline)
{
	if (timeline->brokered) {
		charge_release(&timeline->brokered->reserved_import);
		charge_release(&timeline->brokered->reserved_fds);
		free(timeline->brokered->end_reason);
	}
	free(timeline->brokered);
	free(timeline->counters);
	free(timeline->reason);
	free(timeline);
}

int timeline_reserve(struct timeline *timeline, struct user *user)
{
	struct brokered *brokered = timeline->brokered;
	if (timeline_has_reserve(timeline)) {
		return 0;
	}
	int r = charge_take(&brokered->reserved_import, user, ACCOUNT_IMPORTS, 1);
	if (r == 0) {
		r = charge_take(&brokered->reserved_fds, user, ACCOUNT_FDS, TIMELINE_RESERVED_FDS);
	}
	if (r < 0) {
		charge_release(&brokered->reserved_import);
	}
	return r;
}

bool timeline_has_reserve(const struct timeline *timeline)
{
	return timeline->brokered && timeline->brokered->reserved_import.amount > 0;
}

/* Adds the parts of its kind: brokered, or in memory with or without a signaler that rings. */
static int timeline_specialise(struct timeline *timeline, uint32_t flags)
{
	if (flags & FBK_TIMELINE_BROKERED) {
		timeline->brokered = calloc(1, sizeof(*timeline->brokered));
		if (!timeline->brokered) {
			return -ENOMEM;
		}
		TAILQ_INIT(&timeline->brokered->sources);
		return 0;
	}
	timeline->lane = flags & FBK_TIMELINE_LANE;
	timeline->narrow = !timeline->lane && device_signals_narrow(timeline->device);
	return timeline->device->silent && !timeline->lane ? timeline_poll_create(timeline) : 0;
}

struct lane_geometry timeline_geometry(const struct timeline *timeline)
{
	return lane_geometry_of(timeline->lane == FBK_TIMELINE_FRAMES, FBK_BUFFERS_MAX);
}

static int timeline_take_slot(struct timeline *timeline, struct set *set, struct user *user)
{
	struct registry *registry = timeline_registry(timeline);
	if (timeline->lane) {
		struct lane_geometry geometry = timeline_geometry(timeline);
		return set_lane_take(set, registry, user, lane_page_size(&geometry),
				     &timeline->slot);
	}
	return set_slot_take(set, registry, user, timeline->brokered ? NULL : timeline->device,
			     &timeline->slot);
}

int timeline_create(struct device *device, struct set *set, const char *name, uint32_t flags,
		    struct timeline **ret_timeline)
{
	struct registry *registry = device->registry;
	struct client *client = device->client;
	struct timeline *timeline = timeline_alloc(name);
	if (!timeline) {
		return -ENOMEM;
	}
	timeline->device = device;
	timeline->id = registry_new_id(registry);
	LIST_INIT(&timeline->handles);

	int r = timeline_specialise(timeline, flags);
	if (r == 0) {
		r = charge_grow(&client->timelines_charge, client->user, ACCOUNT_TIMELINES, 1);
	}
	if (r == 0) {
		r = timeline_take_slot(timeline, set, client->user);
		if (r < 0) {
			charge_shrink(&client->timelines_charge, 1);
		}
	}
	if (r < 0) {
		timeline_poll_destroy(timeline);
		timeline_free(timeline);
		return r;
	}
	timeline->set = set;
	if (timeline_shadowed(timeline)) {
		/* release: before the status below. Clears whatever the driver left in that memory. */
		atomic_store_explicit(&timeline_payload(timeline)->payload, 0,
				      memory_order_release);
	}
	struct fbk_control_slot *control = timeline_control(timeline);
	control->timeline_id = timeline->id;
	control->flags = timeline->narrow ? FBK_CONTROL_SHADOWED : 0;
	atomic_store_explicit(&control->failed_from, FBK_FAILED_FROM_NONE,
			      memory_order_relaxed); /* before the status below */
	timeline_publish(timeline, FBK_MONITORED_NONE);
	/* release: a reader that sees the slot in use sees it filled in */
	atomic_store_explicit(&control->status, FBK_STATUS_OK, memory_order_release);

	device->refs++;
	device->timelines++;
	LIST_INSERT_HEAD(&registry->timelines, timeline, links);
	registry->timeline_count++;
	*ret_timeline = timeline;
	return 0;
}

static void timeline_drop_pages(struct timeline *timeline)
{
	timeline_poll_destroy(timeline);
	struct set *set = timeline->set;
	timeline->set = NULL;
	set_unref(set);
}

int cause_error(enum fbk_cause cause)
{
	switch (cause) {
	case FBK_CAUSE_OWNER_DIED:
		return -EOWNERDEAD;
	case FBK_CAUSE_ADMIN:
		return -ECONNABORTED;
	default:
		return -EPIPE;
	}
}

void timeline_set_end(struct timeline *timeline, int error, const char *reason)
{
	struct brokered *brokered = timeline->brokered;
	free(brokered->end_reason);
	brokered->end_error = error;
	brokered->end_reason = reason ? strdup(reason) : NULL; /* without memory: the cause */
}

static void timeline_fail_left(struct timeline *timeline, enum fbk_cause cause)
{
	const struct brokered *brokered = timeline->brokered;
	if (brokered && brokered->end_reason) {
		timeline_fail(timeline, FBK_CAUSE_OWNER_FAILED, brokered->end_error,
			      brokered->end_reason);
	} else {
		timeline_fail(timeline, cause, cause_error(cause), NULL);
	}
}

void timeline_stop(struct timeline *timeline)
{
	timeline_refresh(timeline);
	if (timeline->let_go != FBK_CAUSE_NONE) {
		timeline_fail_left(timeline, timeline->let_go);
	} else {
		timeline_fail(timeline, FBK_CAUSE_DAEMON_LOST, -ENOTCONN, "the daemon was stopped");
	}
}

/* Its signaler has let go of it. */
static void timeline_end(struct timeline *timeline, enum fbk_cause cause)
{
	if (!MUTANT(DEATH_UNREAD)) {
		timeline_look(timeline); /* points reached by now count; fails on a bad payload */
	}
	timeline_fail_left(timeline, cause);
	/* The timeline never changes again. Clients that mapped the pages keep them; the daemon need
	 * not, and a waiter that stays must not cost the user of the former signaler. */
	timeline_drop_pages(timeline);
}

void timeline_orphan(struct timeline *timeline, enum fbk_cause cause)
{
	if (!timeline->set || timeline->let_go != FBK_CAUSE_NONE) {
		return;
	}
	timeline->device->timelines--;
	charge_shrink(&timeline->device->client->timelines_charge, 1);
	if (timeline->kept > 0) {
		timeline->let_go = (uint8_t)cause;
	} else {
		timeline_end(timeline, cause);
	}
}

void timeline_keep(struct timeline *timeline)
{
	timeline->kept++;
}

void timeline_unkeep(struct timeline *timeline)
{
	if (!timeline || --timeline->kept > 0) {
		return;
	}
	if (timeline->set && timeline->let_go != FBK_CAUSE_NONE) {
		timeline_end(timeline, timeline->let_go);
	}
	if (LIST_EMPTY(&timeline->handles)) {
		timeline_destroy(timeline);
	}
}

void timeline_destroy(struct timeline *timeline)
{
	assert(LIST_EMPTY(&timeline->handles) && timeline->kept == 0);
	timeline_orphan(timeline, FBK_CAUSE_OWNER_LEFT);
	LIST_REMOVE(timeline, links);
	timeline_registry(timeline)->timeline_count--;
	device_unref(timeline->device);
	timeline_free(timeline);
}
