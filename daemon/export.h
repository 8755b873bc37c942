// SPDX-License-Identifier: MIT
/*
 * An export: a kernel primitive that fires when a point is decided or its deadline passes. Late: it
 * is nothing the kernel waits for before. Owned by the session that asked until it fires; outlives
 * the handle it was made through. Loop's thread only.
 */
#pragma once

#include <stdint.h>

#include "account.h"
#include "handle.h"
#include "provider.h"
#include "timeline.h"
#include "wheel.h"

struct export
{
	LIST_ENTRY(export) links; /* of the session */
	struct session *session;
	struct arm arm;
	const struct provider *provider;
	int fd;
	struct wheel_timer deadline;
	struct charge charge;
	struct charge fd_charge;
};

/* `ret_fd` is a duplicate for the caller to send and close. `detail` is FBK_REASON_SIZE. */
int export_create(struct handle *handle, uint64_t value, uint32_t kind, uint64_t deadline_ns,
		  int *ret_fd, char *detail);

/* The session ends: what it exported fires, since others may poll it. */
void export_drop_all(struct session *session);
