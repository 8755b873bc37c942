// SPDX-License-Identifier: MIT
/*
 * An export: a kernel primitive that fires when a point is decided or its deadline passes. The kernel never waits for a
 * late export before it fires; it is owned by the client that asked. The kernel does wait for a promise. So a promise
 * is owned by the translator, outlives the client that asked, and fails the timeline when its deadline passes. Both
 * outlive the handle that they were made through, and are charged to the user that asked. Loop's thread only.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "daemon/core/handle.h"
#include "origin.h"
#include "provider.h"
#include "translator.h"

struct export
{
	LIST_ENTRY(export) links;  /* of the client; a promise: of the translator */
	RB_ENTRY(export) id_links; /* of the client, by its id; no promise */
	uint32_t id;
	LIST_ENTRY(export) asked_links; /* a promise: of the asker, while that lives */
	struct client *asker;           /* NULL: gone; a promise outlives it */
	struct translator *translator;
	struct arm arm;
	struct origin origin;
	int duplicate; /* of the fd that went out, for `origin`; -1: the provider keeps one */
	uint64_t value;
	uint64_t at; /* the point of the primitive that it is signalled at; else `value` */
	const struct provider *provider;
	union provided provided;
	bool promise;
	struct wheel_timer deadline;
	struct charge charge;
	struct charge fd_charge;
};

/* What the client asks for, by an id of its own. One that has not fired yet and asks for the same but the deadline is found
 * again by it: its deadline stays. -EEXIST: it asks for something else. */
struct export_wish {
	uint32_t id;
	uint64_t value;
	uint64_t deadline_ns;
};

/* `ret_fd` is for the caller to send and close. `detail` is FBK_REASON_SIZE. */
int export_create(struct translator *translator, struct handle *handle,
		  const struct export_wish *wish, uint32_t kind, int *ret_fd, char *detail);

/* At that point of a syncobj that the client passed: takes the fd, and makes it -1, if it is kept. -EINVAL: a fence was
 * submitted for it, or for a later point. */
int export_to_syncobj(struct translator *translator, struct handle *handle,
		      const struct export_wish *wish, int *fd, uint64_t syncobj_point,
		      char *detail);

/* It fires, as failed: whoever has it looks, and finds no more. -ENOENT: it has fired. */
int export_cancel(struct client *client, uint32_t id);

/* A signalled sync_file for a point that is reached. -EAGAIN: the point is not reached. */
int export_reached(struct translator *translator, struct handle *handle, uint64_t value,
		   int *ret_fd, char *detail);

/* A fence of this provider that the kernel may wait for before the point is reached. Only promise.c calls it, and checks
 * before that it may. */
int export_promise(struct translator *translator, struct handle *handle,
		   const struct provider *provider, uint64_t value, int *ret_fd);

/* The export behind a fence that a client passed; NULL: none is known. `syncobj_point` is the point of a syncobj that
 * the client waits for. */
const struct export *export_find(const struct translator *translator, int fd,
				 uint64_t syncobj_point);

struct wait export_wait(const struct export *export); /* takes promises too */

/* When a client ends, its exports fire, since other processes may poll them. Promises stay. */
extern const struct observer export_observer;
