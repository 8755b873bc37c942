// SPDX-License-Identifier: MIT
/*
 * Waiting for the point of a watch: on a cell where that can be, else at the daemon. Any thread; not under the
 * context's mutex but where it says so.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "fencebroker.h"

/* fbk_point_watch() of something that `drop` frees when fn is never called; `drop` is called under the mutex.
 * `ret_watch` is set before fn may run, also where it fails. */
int watch_create(struct fbk_point point, uint64_t deadline_ns, fbk_point_fn *fn, void *arg,
		 void (*drop)(void *arg), struct fbk_watch **ret_watch);

/* Call `fn` in the next dispatch. Cancelled with the second, which takes NULL. */
int watch_soon(struct fbk_context *context, fbk_point_fn *fn, void *arg,
	       struct fbk_watch **ret_watch);
void watch_cancel(struct fbk_context *context, struct fbk_watch *watch);

/*
 * The same by number, for who watches under a lock of his own, on any thread: a number stays good when its watch has
 * fired, or went with its timeline. `fn` may still run once after watch_end(), if a dispatch is about to call it.
 */
int watch_point(struct fbk_point point, fbk_point_fn *fn, void *arg, uint64_t *ret_number);
int watch_dispatch(struct fbk_context *context, fbk_point_fn *fn, void *arg, uint64_t *ret_number);
bool watch_pending(struct fbk_context *context, uint64_t number); /* 0: none */
void watch_end(struct fbk_context *context, uint64_t *number);    /* sets it to 0 */

/* Arm at the daemon what can't be on a cell any more. Under the mutex, which is unlocked meanwhile. */
void watches_send(struct fbk_context *context);
