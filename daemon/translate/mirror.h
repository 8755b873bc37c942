// SPDX-License-Identifier: MIT
/*
 * A mirror: a standing translation between a timeline and a drm_syncobj, made once. Owned by the client, and ends with
 * the handle that it was made through. At that end it releases the waiters of the syncobj with the value that means
 * "failed", unless the client destroyed the mirror itself. Loop's thread only.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "daemon/core/handle.h"
#include "syncobj-follow.h"

struct mirror {
	LIST_ENTRY(mirror) links; /* of the client */
	struct handle *handle;
	struct timeline *timeline;
	struct source source; /* from: on the timeline's list */
	uint32_t number;      /* the client's */
	bool from;   /* true: the timeline follows the syncobj; false ("to"): the reverse */
	bool direct; /* to: the client signals the syncobj; the daemon only ends it */
	bool ended;  /* it translates no more */
	struct syncobj syncobj;
	uint64_t signalled;           /* to: the value of the syncobj; `seen` may be ahead */
	struct arm arm;               /* to: the next point */
	struct syncobj_follow follow; /* from */
	struct event *again;          /* goes on in a callback of its own */
	struct charge charge;
	struct charge fd_charge;
};

/* `fd` was classified as a syncobj, and stays the caller's. One of that number and of the same parameters is found again:
 * -EEXIST, if it is another. */
int mirror_create(struct translator *translator, struct handle *handle, int fd, uint32_t number,
		  bool from, bool direct, char *detail);

/* `silent`: leave the syncobj as it is. */
void mirror_destroy(struct mirror *mirror, bool silent);

struct mirror *mirror_find(const struct client *client, uint32_t number);

/* Does the timeline follow a syncobj? */
bool mirror_follows(const struct timeline *timeline);

extern const struct observer mirror_observer;
