// SPDX-License-Identifier: MIT
/*
 * The watcher: polls the payloads of devices that signal by stores alone and ring nobody, while a
 * point of theirs is monitored, and keeps poison in the payloads of what failed. The daemon's second
 * thread; it lives only while something is armed, and a moment longer.
 *
 * The functions here are the loop's. What is shared with the thread is under one mutex, which it
 * holds for a few looks at a time; it reads and writes nothing of the daemon's but payloads, and
 * those only under the mutex: what was disarmed is not touched any more. Owned by the registry.
 */
#pragma once

#include <bsd/sys/queue.h>
#include <stdbool.h>
#include <stdint.h>

#include "proto/heap.h"
#include "daemon/base/pace.h"
#include "proto/page.h"
#include "set.h"

struct watcher;

enum watched_state {
	WATCHED_IDLE, /* the watcher does not know it */
	WATCHED_QUEUED,
	WATCHED_HIT, /* the loop has been told, and has not come yet */
};

/* A payload that is polled; embedded in what wants to know. All zero, but for what is said, at
 * first. Everything but `hit` is the watcher's. */
struct watched {
	struct heap_node node; /* key: when to look next */
	TAILQ_ENTRY(watched) hits;
	enum watched_state state;
	bool narrow; /* 32 bits; set before */
	bool guard;
	struct fbk_payload_slot *slot;
	uint64_t seen, value; /* a guard's: the poison of a narrow one */
	uint64_t since_ns, looked_ns;
	uint64_t until_ns; /* a guard's end */
	struct pace pace;
	/* On the loop, once, not armed any more; may free what embeds it. */
	void (*hit)(struct watched *watched);
};

/* `ret_watcher` gets NULL where policy leaves it no CPU time. */
int watcher_create(struct registry *registry, struct watcher **ret_watcher);
void watcher_destroy(struct watcher *watcher); /* nothing is armed but guards; takes NULL */

/* Hit once the payload is `value` or more, or less than `seen`, or no point. Arms it anew when it is
 * armed already. Allocates nothing. */
void watcher_arm(struct watcher *watcher, struct watched *watched, struct fbk_payload_slot *slot,
		 uint64_t seen, uint64_t value);

/* On return the watcher has let go of the payload, and of a hit that was not taken. */
void watcher_disarm(struct watcher *watcher, struct watched *watched);

/* Put poison back, for as long as policy says, wherever a device overwrites it: `word` is what the
 * lower half of a narrow payload was set to. Keeps the set's pages until then. */
void watcher_guard(struct watcher *watcher, struct set *set, struct fbk_payload_slot *slot,
		   bool narrow, uint32_t word);

/* How many looks it took so far. */
uint64_t watcher_polls(const struct watcher *watcher);
