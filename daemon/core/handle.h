// SPDX-License-Identifier: MIT
/*
 * A client's view of a timeline: its rights, its cell in the pair page, the tokens that it made. The handle's number
 * is the index of the cell and of the bell bit. Owned by the client; the observers' handle_closed ends everything
 * else that hangs on a handle. Loop's thread only.
 */
#pragma once

#include <stdint.h>

#include "arm.h"
#include "client.h"
#include "timeline.h"
#include "wait.h"

struct pair;
struct token;
struct watch;

#define RIGHTS_ALL (FBK_RIGHT_WAIT | FBK_RIGHT_SIGNAL | FBK_RIGHT_PROMISE)

struct handle {
	LIST_ENTRY(handle) links; /* of the timeline */
	struct client *client;
	struct timeline *timeline;
	uint16_t number;
	uint16_t rights;
	uint32_t
		opened_by; /* low bits of the inode of the token that opened it last; 0: it was made */
	struct arm *cell_arm;       /* made with the first wait through the daemon */
	struct pair *pair;          /* NULL: its waits go through the daemon */
	LIST_HEAD(, watch) watches; /* armed, or fired and not notified yet */
	LIST_HEAD(, token) tokens;
};

/* May the client give that number to a new handle? -EINVAL: it is none. -EEXIST: it is that of another. `detail`, of
 * FBK_REASON_SIZE, says so. */
int handle_number_check(const struct client *client, uint32_t number, char *detail);

/* `number` was checked. */
int handle_create(struct client *client, struct timeline *timeline, uint32_t rights,
		  uint32_t number, struct handle **ret_handle);

/* If its client is the signaler, the timeline fails with that cause. */
void handle_destroy(struct handle *handle, enum fbk_cause cause);

/* The client unregisters this device: all timelines of the device fail. */
void handles_orphan(struct client *client, const struct device *device, enum fbk_cause cause);

struct handle *handle_of(const struct client *client, const struct timeline *timeline);

/* Open the client's bell, unless it is open: each handle has a cell in its page. handle_create() does so; a client that
 * has no handle and does not ask for its bell costs no page. */
int client_open_bell(struct client *client);

/* The wait through the cell of this handle. */
struct wait handle_wait(const struct handle *handle);

extern const struct observer handle_observer;
