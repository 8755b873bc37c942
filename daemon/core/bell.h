// SPDX-License-Identifier: MIT
/*
 * A client's doorbell and its pair page: an eventfd that the client writes and the daemon polls without reading, and
 * memory that only the two of them map. The client lowers the minimum of a cell, sets the cell's bit, and rings; the
 * daemon takes the bits and looks at those cells. In the other direction (cell-arm.h) the daemon bumps a cell and
 * wakes the threads that sleep on it. Embedded in the client; loop's thread only.
 */
#pragma once

#include <stdint.h>

#include "page.h"
#include "registry.h"

struct event;

struct bell {
	struct registry *registry;
	struct page *pair;
	int doorbell; /* -1: not open */
	struct event *event;
	/* The client set the bit of this cell. */
	void (*rung)(struct bell *bell, uint32_t number);
};

void bell_init(struct bell *bell, struct registry *registry); /* holds nothing */

/* Make the page and the doorbell. The page is charged to the user; the doorbell's fd is in the client's own charge.
 * After an error bell_close() releases the rest. */
int bell_open(struct bell *bell, struct user *user,
	      void (*rung)(struct bell *bell, uint32_t number));

/* Ignore rings from now on. */
void bell_mute(struct bell *bell);
void bell_close(struct bell *bell);

static inline struct fbk_pair_page *bell_page(const struct bell *bell)
{
	return bell->pair->memory;
}
