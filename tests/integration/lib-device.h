// SPDX-License-Identifier: MIT
/*
 * A device that signals by stores alone, in a process of its own: it registers as silent, makes one
 * timeline, and then stores to its memory what the test tells it, without the library's help. Owned
 * by the test; one thread at a time.
 */
#pragma once

#include "lib-peer.h"
#include "lib-wire.h"

struct silent {
	struct peer peer;
	int token; /* token of the timeline, with the right to wait */
};

/* `signals` as in struct fbk_device_desc. */
void silent_start(struct silent *silent, const struct daemon *daemon, uint32_t signals);

/* Its timeline, as `context` sees it. */
struct fbk_timeline *silent_open(struct silent *silent, struct fbk_context *context);

void silent_store(struct silent *silent, uint64_t value);  /* done when this returns */
void silent_signal(struct silent *silent, uint64_t value); /* by the library */
uint64_t silent_load(struct silent *silent);

/* Store 1 more each `interval_us`, `count` times; returns at once. */
void silent_run(struct silent *silent, uint64_t count, uint64_t interval_us);

/* Fail it with -EIO, store `value` over the poison, and wait until the value is replaced. Returns
 * what replaced it, or 0 if nothing did for too long. */
uint64_t silent_fail(struct silent *silent, uint64_t value);
uint64_t silent_overwrite(struct silent *silent, uint64_t value); /* the latter half, again */

void silent_stop(struct silent *silent);
void silent_kill(struct silent *silent); /* SIGKILL, and it is gone */

/* Threads of the daemon. */
pid_t daemon_await_task(const struct daemon *daemon, const char *name); /* of that name */
void daemon_await_no_task(const struct daemon *daemon, const char *name);
pid_t daemon_task(const struct daemon *daemon, const char *name); /* 0: none */
