// SPDX-License-Identifier: MIT
/*
 * A watch: notifies a client once, by an event on its socket, that a point is decided or that the
 * watch's deadline passed. Owned by its client until notified or cancelled; loop's thread only.
 */
#pragma once

#include <bsd/sys/queue.h>
#include <bsd/sys/tree.h>
#include <stdint.h>

#include "handle.h"

struct watch {
	struct arm arm;
	struct handle *handle;
	LIST_ENTRY(watch) links; /* of the handle */
	RB_ENTRY(watch) node;    /* of the client, by number */
	uint64_t number;         /* the client's */
	int result;
	bool fired;
	TAILQ_ENTRY(watch) fired_links; /* of the client, until notified */
	struct wheel_timer deadline;
	struct charge charge;
};

/* -EEXIST: the client uses that number already. */
int watch_create(struct handle *handle, uint64_t number, uint64_t value, uint64_t deadline_ns);
int watch_cancel(struct client *client, uint64_t number); /* -ENOENT */

/* The watch with the smallest number from `number` on, or NULL. */
const struct watch *watch_from(const struct client *client, uint64_t number);

/* Take up to `size` fired watches off the client's list and end them; returns how many. */
size_t watch_take_fired(struct client *client, uint64_t *ret_numbers, int32_t *ret_results,
			size_t size);

struct wait watch_wait(const struct watch *watch);

/* The watches of a closed handle end without a notification. */
extern const struct observer watch_observer;
