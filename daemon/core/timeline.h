// SPDX-License-Identifier: MIT
/*
 * A timeline: its slots in shared memory, its owner, the arms on it, and how it fails. The daemon looks
 * at a payload when a doorbell, a request, a deadline or the watcher asks for it, and at no other time.
 * The handles of clients refer to it; it goes with the last. Loop's thread only.
 */
#pragma once

#include <bsd/sys/queue.h>
#include <stdbool.h>
#include <stdint.h>

#include "client/include/fencebroker.h"
#include "daemon/rules/account.h"
#include "device.h"
#include "proto/heap.h"
#include "set.h"
#include "proto/lane.h"
#include "source.h"

struct link;
struct pair;
struct timeline;
struct watched;

/*
 * A wait for a point, embedded in a cell's arm, a watch or an export. `done` is called once, with the arm
 * already taken off, and may free what embeds it. `result` is 0 (reached) or a negative errno.
 */
struct arm {
	struct heap_node node;     /* key: the point */
	struct timeline *timeline; /* NULL: not armed */
	uint64_t since_ns;         /* unique for each arm */
	void (*done)(struct arm *arm, struct timeline *timeline, int result);
};

/* The part of a brokered timeline. */
struct brokered {
	struct source_queue sources; /* in rising order */
	uint64_t given;              /* the largest point asked for */
	struct link *link;           /* the link whose state it is, or NULL */
	int end_error;               /* see timeline_set_end */
	char *end_reason;
	struct charge reserved_import, reserved_fds; /* see timeline_reserve */
};

/* What happened to a timeline, for reports. */
struct timeline_counters {
	uint64_t waits, wakes, watches;
	uint64_t exports, exports_fired, exports_expired;
	uint64_t promises, promises_kept, promises_broken;
	uint64_t imports, imports_done, imports_failed;
	uint64_t
		changed_ns; /* when the value was last seen to change, or these counters were made */
};

/* Timelines are many and mostly idle: parts that only some need are allocated apart. */
struct timeline {
	LIST_ENTRY(timeline) links;
	struct device *device; /* its signaler, also a former one */
	uint64_t id;
	struct set *set; /* NULL once the signaler let go of it */
	struct set_slot slot;
	struct brokered *brokered; /* NULL: signalled in memory */
	struct watched *watched;   /* of a silent device; NULL: its signaler rings */

	uint64_t
		seen; /* payload at the last look; only grows; once failed, the last point reached */
	struct heap arms;
	LIST_HEAD(, handle) handles;
	LIST_HEAD(, pair) pairs;            /* cells that its signaler looks at */
	struct timeline_counters *counters; /* see timeline_count */
	char *reason;                       /* see timeline_reason */

	int error;
	uint32_t armed;
	uint32_t handle_count;
	uint32_t mirror_count;
	uint32_t
		lane; /* FBK_TIMELINE_FRAMES or _RETURNS: a lane of a link: the process signals it, whatever the device does */
	uint8_t cause; /* enum fbk_cause; FBK_CAUSE_NONE while alive */
	bool narrow;   /* a payload of 32 bits, extended from `seen` */
	bool idle;     /* its next point comes only with news: never reported as stuck */
	bool releases; /* a consumer releases buffers of a link by its points */
	uint8_t let_go; /* enum fbk_cause that it fails with once it is not kept; FBK_CAUSE_NONE: it has its signaler */
	uint16_t kept; /* see timeline_keep */
	char name[];
};

int timeline_create(struct device *device, struct set *set, const char *name, uint32_t flags,
		    struct timeline **ret_timeline);

/* When the last handle is gone, or none was made. */
void timeline_destroy(struct timeline *timeline);

/* Read the payload, check it, complete the arms that are reached, publish the smallest armed point. */
void timeline_look(struct timeline *timeline);

/* The same; no-op on a failed timeline. */
void timeline_refresh(struct timeline *timeline);

/* Brokered: pass on to the source that a deadline for `value` passed, or by when a waiter wants it. No-op without a
 * source. */
void timeline_catch_up(struct timeline *timeline, uint64_t value);
void timeline_hint(struct timeline *timeline, uint64_t value, uint64_t deadline_ns);

/* Brokered: raise the payload. */
void timeline_advance(struct timeline *timeline, uint64_t value);

/* Brokered: what it fails with when its signaler leaves or dies; NULL: with that cause. */
void timeline_set_end(struct timeline *timeline, int error, const char *reason);

/* `reason` NULL: a sentence made from the cause. No-op on a failed timeline. */
void timeline_fail(struct timeline *timeline, enum fbk_cause cause, int error, const char *reason);

/* The daemon stops: fail with that, unless its payload is bad, or its signaler let go of it. No-op on a failed one. */
void timeline_stop(struct timeline *timeline);

/* Why the timeline failed, in words; "" while it is alive. */
const char *timeline_reason(const struct timeline *timeline);

/* The signaler lets go: fail with `cause` and drop the shared pages; while it is kept, later. */
void timeline_orphan(struct timeline *timeline, enum fbk_cause cause);

/*
 * Keep it undecided though its signaler lets go: what the signaler's fences and the kernel still do decides it, and who
 * waits for it goes on waiting. Counted. The last one that gives it up fails it with the cause of the letting go, and
 * destroys it if no handle is left. What keeps it bounds how many there are: it is not charged as a timeline meanwhile.
 */
void timeline_keep(struct timeline *timeline);
void timeline_unkeep(struct timeline *timeline); /* takes NULL */

/* Take now what an import on this brokered timeline will be charged, one at a time: so a limit can't refuse it then. */
#define TIMELINE_RESERVED_FDS 2
int timeline_reserve(struct timeline *timeline, struct user *user);
bool timeline_has_reserve(const struct timeline *timeline);

/* The error of a timeline whose signaler ended with that cause. */
int cause_error(enum fbk_cause cause);

/* NULL once the signaler let go. */
struct client *timeline_signaler(const struct timeline *timeline);
struct registry *timeline_registry(const struct timeline *timeline);

/* The counters to add to. Made with the first count, since most timelines are idle; without memory the
 * count is lost. */
struct timeline_counters *timeline_count(struct timeline *timeline);

/* What calls return of a timeline that failed: its error, unless that would say something else there. */
int timeline_error(const struct timeline *timeline);

/* 0 reached, -EAGAIN undecided, or that error. By the last look; does not read the payload. */
int timeline_point_state(const struct timeline *timeline, uint64_t value);

/* For timeline-life.c: the poll of a silent device's payload. */
int timeline_poll_create(struct timeline *timeline);
void timeline_poll_destroy(struct timeline *timeline);

/* For arm.c. */
void timeline_complete(struct timeline *timeline); /* the arms whose points are decided */
void timeline_take_off(struct timeline *timeline, struct arm *arm);
void timeline_publish(struct timeline *timeline, uint64_t monitored);
uint64_t
timeline_smallest(const struct timeline *timeline); /* armed point, or FBK_MONITORED_NONE */

/* In registered memory: all but its owner read the shadow in the control page. */
static inline bool timeline_shadowed(const struct timeline *timeline)
{
	return timeline->slot.page->backing == FBK_BACKING_OWN;
}

/* Of a lane: where its table lies. */
struct lane_geometry timeline_geometry(const struct timeline *timeline);

static inline uint32_t timeline_flags(const struct timeline *timeline)
{
	return (timeline->brokered ? FBK_TIMELINE_BROKERED : 0U) | timeline->lane;
}

/* In shared memory; not to be called once the signaler let go. */
static inline struct fbk_payload_slot *timeline_payload(const struct timeline *timeline)
{
	return fbk_payload_slot_at(timeline->slot.page->memory, timeline->slot.payload);
}

static inline struct fbk_control_slot *timeline_control(const struct timeline *timeline)
{
	return fbk_control_slot_at(timeline->set->control->memory, timeline->slot.control);
}

/* The smallest armed point as published; FBK_MONITORED_NONE for none. */
static inline uint64_t timeline_monitored(const struct timeline *timeline)
{
	if (!timeline->set) {
		return FBK_MONITORED_NONE;
	}
	/* relaxed: only this thread writes it */
	return atomic_load_explicit(&timeline_control(timeline)->monitored, memory_order_relaxed);
}

static inline uint64_t timeline_failed_from(const struct timeline *timeline)
{
	return timeline->cause == FBK_CAUSE_NONE ? FBK_FAILED_FROM_NONE : timeline->seen + 1;
}

static inline uint64_t arm_point(const struct arm *arm)
{
	return arm->node.key;
}
