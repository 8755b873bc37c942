// SPDX-License-Identifier: MIT
/*
 * An export: a kernel primitive that fires when a point is decided or its deadline passes. A late one
 * is nothing the kernel waits for before; it belongs to the client that asked. A promise is: it
 * belongs to nobody's client, since whoever asked may be gone while the kernel still relies on it,
 * and when its deadline passes the timeline fails. Both outlive the handle they were made through, and
 * are charged to who asked. Loop's thread only.
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
	LIST_ENTRY(export) links;       /* of the client; a promise: of the translator */
	LIST_ENTRY(export) asked_links; /* of who asked for a promise, while that is there */
	struct client *asker;           /* NULL: gone, which a promise outlives */
	struct translator *translator;
	struct arm arm;
	struct origin origin;
	int duplicate; /* of what went out, for that; -1: the provider has one */
	uint64_t value;
	const struct provider *provider;
	union provided provided;
	bool promise;
	struct wheel_timer deadline;
	struct charge charge;
	struct charge fd_charge;
};

/* `ret_fd` is for the caller to send and close. `detail` is FBK_REASON_SIZE. */
int export_create(struct translator *translator, struct handle *handle, uint64_t value,
		  uint32_t kind, uint64_t deadline_ns, int *ret_fd, char *detail);

/* A sync_file for a point that is reached. -EAGAIN: it is not. */
int export_reached(struct translator *translator, struct handle *handle, uint64_t value,
		   int *ret_fd, char *detail);

/* An unsignalled sync_file. `implicit`: for a dma-buf's reservation. */
int export_promise(struct translator *translator, struct handle *handle, uint64_t value,
		   bool implicit, int *ret_fd, char *detail);

/* May promises be made at all here? 0, or why not. */
int export_promises_work(struct translator *translator, char *detail);

/* The export that this fence, which a client passed, is of; NULL: none that is known. `syncobj_point` is
 * what is waited for in a syncobj. */
const struct export *export_find(const struct translator *translator, int fd,
				 uint64_t syncobj_point);

struct wait export_wait(const struct export *export); /* or a promise */

/* When a client ends, what it exported fires, since others may poll it. Promises stay. */
extern const struct observer export_observer;
