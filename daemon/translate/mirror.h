// SPDX-License-Identifier: MIT
/*
 * A mirror: a standing translation between a timeline and a drm_syncobj, made once. Belongs to the
 * handle it was made through, and ends with it; what still waits for the syncobj then is let go, with
 * the value that says "failed", unless the client took the mirror down itself. Loop's thread only.
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
	struct source source; /* from: of the timeline */
	uint32_t number;      /* the client's */
	bool from;            /* the timeline follows the syncobj */
	bool direct;          /* to: its client signals the syncobj; we only end it */
	bool ended;           /* nothing is translated any more */
	uint32_t syncobj;
	uint64_t signalled;           /* to: what the syncobj has; not what was seen since */
	struct arm arm;               /* to: the next point */
	struct syncobj_follow follow; /* from */
	struct event *again;          /* go on after the callback that is running */
	struct charge charge;
	struct charge fd_charge;
};

/* `fd` is a classified syncobj's, and stays the caller's. */
int mirror_create(struct translator *translator, struct handle *handle, int fd, bool from,
		  bool direct, struct mirror **ret_mirror, char *detail);

/* `silent`: the syncobj is left as it is. */
void mirror_destroy(struct mirror *mirror, bool silent);

struct mirror *mirror_find(const struct client *client, uint32_t number);

/* Does it follow a syncobj? */
bool mirror_follows(const struct timeline *timeline);

extern const struct observer mirror_observer;
