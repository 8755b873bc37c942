// SPDX-License-Identifier: MIT
/*
 * The watcher: polls the payloads of silent devices, which signal by stores alone, while one of their
 * points is monitored, and keeps poison in the payloads of failed timelines. It is the daemon's second
 * thread. The thread lives only while a payload is armed, and a moment longer.
 *
 * The loop's thread calls the functions here. One mutex guards all shared data; the watcher's thread holds
 * it for a few looks at a time. That thread accesses payloads only under the mutex, so it never touches a
 * payload that was disarmed. Owned by the registry.
 */
#pragma once

#include <bsd/sys/queue.h>
#include <stdbool.h>
#include <stdint.h>

#include "daemon/base/pace.h"
#include "proto/heap.h"
#include "proto/page.h"
#include "set.h"

struct watcher;

enum watched_state {
	WATCHED_IDLE, /* the watcher does not know it */
	WATCHED_QUEUED,
	WATCHED_HIT, /* the loop was notified and has not served it yet */
};

/* A payload that is polled; embedded in its timeline's part or in a guard. The owner sets `narrow` and
 * `hit`, and zeroes the rest; the watcher owns all but `hit`. */
struct watched {
	struct heap_node node; /* key: when to look next */
	TAILQ_ENTRY(watched) hits;
	enum watched_state state;
	bool narrow; /* 32 bits */
	bool guard;
	struct fbk_payload_slot *slot;
	uint64_t seen, value; /* value in a guard: the poison of a narrow payload */
	uint64_t since_ns, looked_ns;
	uint64_t until_ns; /* when a guard ends */
	struct pace pace;
	/* Called once, on the loop, with the payload disarmed; may free what embeds it. */
	void (*hit)(struct watched *watched);
};

/* `ret_watcher` gets NULL where policy leaves it no CPU time. */
int watcher_create(struct registry *registry, struct watcher **ret_watcher);
void watcher_destroy(struct watcher *watcher); /* only guards may be armed; takes NULL */

/* The policy is new: the watcher gets this share of a CPU, 1 to 100 percent. */
void watcher_set_percent(struct watcher *watcher, uint64_t percent);

/* Calls `hit` once the payload is `value` or more, less than `seen`, or not a valid point. Re-arms a payload
 * that is armed already. Allocates nothing. */
void watcher_arm(struct watcher *watcher, struct watched *watched, struct fbk_payload_slot *slot,
		 uint64_t seen, uint64_t value);

/* On return the watcher has let go of the payload, and of a hit that was not served. */
void watcher_disarm(struct watcher *watcher, struct watched *watched);

/* Restore poison that a device overwrites, for as long as policy says. `word` is the poisoned word of a
 * narrow payload. Keeps the set's pages until then. */
void watcher_guard(struct watcher *watcher, struct set *set, struct fbk_payload_slot *slot,
		   bool narrow, uint32_t word);

/* How many looks it has taken. */
uint64_t watcher_polls(const struct watcher *watcher);
