// SPDX-License-Identifier: MIT
/*
 * A share set: timelines that are always shared together, because protection is per page. One
 * control page for all of them, one daemon page for those the daemon signals, and a payload page
 * for each device that signals in it, or its registered memory, which sets share. Lives until its maker
 * let go of it and its last timeline is gone. Slots are never given out twice. Loop's thread only.
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
	struct page *daemon; /* made with its first timeline */
	LIST_HEAD(, set_payload) payloads;
};

/* `size` of the pages that follow; the set starts with one reference. */
int set_create(struct registry *registry, struct user *user, uint64_t size, struct set **ret_set);
void set_unref(struct set *set);

struct set_slot {
	struct page *page; /* of the payload */
	uint32_t payload;
	uint32_t control;
};

/* A control slot and a payload slot that only `device` writes (NULL: only the daemon), and a
 * reference on the set. -ENOSPC when the set is full; -ENOBUFS when the device's own memory is. */
int set_slot_take(struct set *set, struct registry *registry, struct user *user,
		  const struct device *device, struct set_slot *ret_slot);

/* The same for a lane: a payload page of its own. */
int set_ring_take(struct set *set, struct registry *registry, struct user *user,
		  struct set_slot *ret_slot);
