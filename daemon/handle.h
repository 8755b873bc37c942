// SPDX-License-Identifier: MIT
/*
 * A client's view of a timeline: its rights, its cell in the pair page, the tokens it made. The
 * handle's number is the index of the cell and of the bell bit. Owned by the client; loop's thread.
 */
#pragma once

#include <stdint.h>

#include "account.h"
#include "timeline.h"

struct pair;
struct token;

#define RIGHTS_ALL (FBK_RIGHT_WAIT | FBK_RIGHT_SIGNAL | FBK_RIGHT_PROMISE)

struct handle {
	LIST_ENTRY(handle) links; /* of the timeline */
	struct client *client;
	struct timeline *timeline;
	uint32_t number;
	uint32_t rights;
	struct arm *cell_arm;       /* made with the first wait through the daemon */
	struct pair *pair;          /* NULL: its waits go through the daemon */
	LIST_HEAD(, watch) watches; /* told or not */
	LIST_HEAD(, token) tokens;  /* one for each mask of rights it was shared with */
};

/* -ENOSPC when the client has all its cells in use. */
int handle_create(struct client *client, struct timeline *timeline, uint32_t rights,
		  struct handle **ret_handle);
void handle_destroy(struct handle *handle);

struct handle *handle_of(const struct client *client, const struct timeline *timeline);

/* The client rang for this handle: arm what its cell says, and look. */
void handle_rung(struct handle *handle);
