// SPDX-License-Identifier: MIT
/*
 * Waiting for the point of a watch: on a cell where that can be, else at the daemon. Any thread; not under the
 * context's mutex but where it says so.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "call.h"
#include "fencebroker.h"

/* What fbk_point_watch() makes, and then begins, which sets its number before `fn` may run, and can't fail: what goes wrong
 * from then on is the result. Until it began, free() frees it. */
struct watch;
int watch_new(struct fbk_point point, uint64_t deadline_ns, fbk_point_fn *fn, void *arg,
	      struct watch **ret_watch);
void watch_begin(struct watch *watch, uint64_t *ret_number);

/*
 * The library's own, by number, for who watches under a lock of his own, on any thread: a number stays good when its
 * watch has fired. Each belongs to an owner, a link or an exchange. `fn` may still run once after watch_end(), if a
 * dispatch is about to call it: see call_wait_owner().
 */
int watch_point(const void *owner, struct fbk_point point, fbk_point_fn *fn, void *arg,
		uint64_t *ret_number);
bool watch_pending(struct fbk_context *context, uint64_t number); /* 0: none */
void watch_end(struct fbk_context *context, uint64_t *number);    /* sets it to 0 */

/* The same for calls without a point: in the next dispatch, and in the first one after this thread's calls are flushing no
 * more. */
int watch_soon(struct fbk_context *context, const struct callback *callback, uint64_t *ret_number);
int watch_flushed(struct fbk_context *context, const struct callback *callback,
		  uint64_t *ret_number);

/* A number that no watch has, for a call that is none. Under the mutex. */
uint64_t watch_number(struct fbk_context *context);

/* Arm at the daemon what can't be on a cell any more. Under the mutex, which is unlocked meanwhile. */
void watches_send(struct fbk_context *context);
