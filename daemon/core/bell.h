// SPDX-License-Identifier: MIT
/*
 * A client's doorbell and its pair page: an eventfd that the client writes and nobody reads, and the memory that
 * it shares with the daemon alone. The client lowers the minimum of a cell, sets the cell's bit, and rings; the
 * daemon takes the bits and looks at those cells. The other way the daemon bumps a cell and wakes who sleeps on
 * it (rule R2). Embedded in the client; loop's thread only.
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
	/* This cell's bit was set. */
	void (*rung)(struct bell *bell, uint32_t number);
};

void bell_init(struct bell *bell, struct registry *registry); /* holds nothing */

/* Make the page and the doorbell, charged to the user but for the doorbell's fd. What a failure leaves behind
 * bell_close() releases. */
int bell_open(struct bell *bell, struct user *user,
	      void (*rung)(struct bell *bell, uint32_t number));

/* From now on rings are ignored. */
void bell_mute(struct bell *bell);
void bell_close(struct bell *bell);

static inline struct fbk_pair_page *bell_page(const struct bell *bell)
{
	return bell->pair->memory;
}

/* Wake who sleeps on this cell, and who sleeps on all of them. */
void bell_wake_cell(struct bell *bell, uint32_t number);
