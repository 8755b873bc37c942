// SPDX-License-Identifier: MIT
/*
 * The choice of the route for fences from one device to another. Pure: it looks at its arguments alone, so that
 * the same question always gets the same answer, and knows nothing of clients, files or the kernel.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "client/include/fencebroker.h"

#define ROUTE_COUNT 9 /* values of enum fbk_route, with FBK_ROUTE_NONE */

/* What a device can do, as registered. */
struct route_device {
	const char *name; /* for the sentences; borrowed */
	uint32_t waits;   /* masks of enum fbk_fence_kind */
	uint32_t signals;
	uint32_t routes; /* mask of 1 << enum fbk_route that it accepts; 0: all */
	enum fbk_visibility visibility;
	enum fbk_backing backing;
};

/* The facts outside the two devices. */
struct route_world {
	uint64_t features;           /* mask of 1 << enum fbk_feature that this machine has */
	bool may_promise;            /* policy allows promises of the signaling device's points */
	bool may_promise_implicitly; /* and in a dma-buf's fences */
};

/* Acquire: the consumer waits for the producer. Release: the producer waits for the consumer. A release may not
 * be promised, since an expired promise reads as success. */
enum route_way { ROUTE_ACQUIRE, ROUTE_RELEASE };

struct route_choice {
	enum fbk_route route; /* FBK_ROUTE_NONE: no route works */
	char why[ROUTE_COUNT]
		[FBK_REASON_SIZE]; /* why this route was taken, or why not; [NONE]: the missing
				    * capability when no route works */
};

/* Choose the cheapest route from the signaler to the waiter. */
void route_choose(const struct route_device *signaler, const struct route_device *waiter,
		  enum route_way way, const struct route_world *world,
		  struct route_choice *ret_choice);

/* "native", "syncobj-mirror", ...; "none". */
const char *route_name(enum fbk_route route);
