// SPDX-License-Identifier: MIT
/*
 * A watch: tells a client once, by an event on its socket, that a point is decided or that the
 * watch's deadline passed. Owned by its client until told or cancelled; loop's thread only.
 */
#pragma once

#include <bsd/sys/queue.h>
#include <bsd/sys/tree.h>
#include <stdint.h>

#include "account.h"
#include "handle.h"
#include "timeline.h"
#include "wheel.h"

struct client;

struct watch {
	struct arm arm;
	struct handle *handle;
	LIST_ENTRY(watch) links; /* of the handle */
	RB_ENTRY(watch) node;    /* of the client, by number */
	uint64_t number;         /* the client's */
	int result;
	bool fired;
	TAILQ_ENTRY(watch) fired_links; /* of the client, while not told */
	struct wheel_timer deadline;
	struct charge charge;
};

/* -EEXIST: the client uses that number already. */
int watch_create(struct handle *handle, uint64_t number, uint64_t value, uint64_t deadline_ns);
int watch_cancel(struct client *client, uint64_t number); /* -ENOENT */

/* The one with the smallest number from `number` on, or NULL. */
const struct watch *watch_from(const struct client *client, uint64_t number);

/* The handle is closed: its watches go without being told. */
void watch_drop_handle(struct handle *handle);

/* Tell what fired. 0, or -EAGAIN when the socket is full. */
int watch_flush(struct client *client);
