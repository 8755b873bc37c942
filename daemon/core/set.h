// SPDX-License-Identifier: MIT
/*
 * A share set: timelines that are always shared together, because protection is per page. It has one
 * control page for all of them, one daemon page for the brokered ones, and a payload page for each
 * device that signals in it. A device with registered memory uses that instead, in all its sets. A set
 * lives until its maker let go of it and its last timeline is gone. Slots are never given out twice.
 * Loop's thread only.
 */
#pragma once

#include <bsd/sys/queue.h>
#include <stdint.h>

#include "device.h"
#include "page.h"

struct set_payload {
	LIST_ENTRY(set_payload) links;
	uint64_t device_id; /* its one writer */
	struct page *page;
};

struct set {
	uint64_t id;
	unsigned int refs; /* the maker's and one for each timeline */
	struct page *control;
	struct page *daemon; /* made with the first brokered timeline */
	LIST_HEAD(, set_payload) payloads;
};

/* `size` is that of its pages; the set starts with one reference. */
int set_create(struct registry *registry, struct user *user, uint64_t size, struct set **ret_set);
void set_unref(struct set *set);

struct set_slot {
	struct page *page; /* of the payload */
	uint32_t payload;
	uint32_t control;
};

/* Take a control slot, a payload slot that only `device` writes (NULL: only the daemon), and a
 * reference to the set. -ENOSPC: the set is full; -ENOBUFS: the device's registered memory is. */
int set_slot_take(struct set *set, struct registry *registry, struct user *user,
		  const struct device *device, struct set_slot *ret_slot);

/* The same for a lane: a payload page of its own, of that size, with its table behind the slot. */
int set_lane_take(struct set *set, struct registry *registry, struct user *user, uint64_t size,
		  struct set_slot *ret_slot);
