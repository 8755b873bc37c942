// SPDX-License-Identifier: MIT
/*
 * Which way a fence goes from one device to another. Pure: looks at its arguments alone, so that the same
 * question always has the same answer, and knows nothing of clients, files or the kernel.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "client/include/fencebroker.h"

#define ROUTE_COUNT 9 /* enum fbk_route; [FBK_ROUTE_NONE] is not one */

/* What a device can do, as it was registered. */
struct route_device {
	const char *name; /* for the sentences; borrowed */
	uint32_t waits;   /* masks of enum fbk_fence_kind */
	uint32_t signals;
	uint32_t routes; /* mask of 1 << enum fbk_route that it puts up with; 0: all */
	enum fbk_visibility visibility;
	enum fbk_backing backing;
};

/* What there is beside the two devices. */
struct route_world {
	uint64_t features;           /* mask of 1 << enum fbk_feature that work here */
	bool may_promise;            /* policy, for points of the signaling device */
	bool may_promise_implicitly; /* also in a dma-buf's fences */
};

/* Acquire: the consumer waits for the producer. Release: the producer waits for the consumer, and nothing
 * may be promised, since a promise that expires reads as success. */
enum route_way { ROUTE_ACQUIRE, ROUTE_RELEASE };

struct route_choice {
	enum fbk_route route; /* FBK_ROUTE_NONE: there is none */
	char why[ROUTE_COUNT]
		[FBK_REASON_SIZE]; /* why each was not taken; of the one taken, why it was. Of [NONE]:
					    * which capability is missing, where there is none */
};

/* From the one that signals to the one that waits. */
void route_choose(const struct route_device *signaler, const struct route_device *waiter,
		  enum route_way way, const struct route_world *world,
		  struct route_choice *ret_choice);

/* "native", "syncobj-mirror", ...; "none". */
const char *route_name(enum fbk_route route);
