// SPDX-License-Identifier: MIT
/* A daemon of the bench's own, in a temporary directory: our fencebrokerd, and for comparison
 * dbus-daemon. It ends with the bench, at the latest. */
#pragma once

#include <stdint.h>
#include <sys/types.h>

struct daemon {
	pid_t pid; /* 0: none */
	char directory[64];
	char socket[96];
	uint64_t start_ns; /* from fork to READY */
};

struct daemon_setup {
	const char *policy;  /* NULL: --user with the built-in one */
	const char *preload; /* NULL: none; else LD_PRELOAD, with FENCE_BENCH_COUNT = `count` */
	const char *count;
};

/* The policy of a system daemon that lets everybody connect and register. */
extern const char daemon_policy_open[];

int daemon_start(struct daemon *daemon, const struct daemon_setup *setup);
int daemon_start_dbus(struct daemon *daemon);
void daemon_stop(struct daemon *daemon); /* also one that was never started */

/* Anonymous memory of a process, exact (smaps_rollup): heap and stacks, no shared pages. In bytes, or
 * negative. */
long daemon_anonymous(const struct daemon *daemon);

/* Until it sleeps in its loop and has done so for a while. */
int daemon_await_idle(const struct daemon *daemon);

/* A file beside the bench: `directory` relative to its own. */
int bench_path(const char *name, char *ret_path, size_t size);
