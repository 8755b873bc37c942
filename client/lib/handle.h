// SPDX-License-Identifier: MIT
/*
 * Handles: what a program keeps of a callback, to cancel it. One is the program's from before its callback can run until
 * fbk_watch_cancel() or fbk_gate_cancel(), whatever becomes of what it watches; it goes with its context at the latest.
 * A callback without one is the library's alone.
 */
#pragma once

#include <bsd/sys/queue.h>
#include <stdint.h>

#include "fencebroker.h"

struct handle_ops {
	void (*stop)(
		struct fbk_watch *handle); /* it is not called any more, unless it runs already */
	void (*free)(struct fbk_watch *handle);
};

struct fbk_watch {
	LIST_ENTRY(fbk_watch) links; /* of the context's */
	struct fbk_context *context;
	const struct handle_ops *ops;
	uint64_t number; /* of its watch or call */
};

/* Not under the mutex, all three. */
void handle_init(struct fbk_watch *handle, struct fbk_context *context,
		 const struct handle_ops *ops);
void handle_cancel(struct fbk_watch *handle); /* waits for a call that runs elsewhere; takes NULL */
void handle_stop_watch(struct fbk_watch *handle); /* `stop` of one whose number is a watch's */

void handles_free(struct fbk_context *context); /* at its end */
