// SPDX-License-Identifier: MIT
/* Points of brokered timelines as they are given to the daemon: in order, and without an answer. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "request.h"

struct fbk_timeline;

/*
 * Send a TimelineSignal or PointSignalOn, quiet, with fences that stay the caller's; `sent` (may be NULL) and the result as
 * in request_quiet_then(). What can be told here is an error at once: no right, no brokered timeline, one that failed or
 * follows a syncobj, a value not above those given before through this process.
 */
int brokered_give(struct fbk_timeline *timeline, uint64_t value, Fbk__Wire__Request *request,
		  const struct packet *packet);

/* The same with an answer, which is waited for: where the daemon has to look before the caller goes on. */
int brokered_give_answered(struct fbk_timeline *timeline, uint64_t value,
			   Fbk__Wire__Request *request, const struct packet *packet);
