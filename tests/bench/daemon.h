// SPDX-License-Identifier: MIT
/* A daemon that the bench starts, in a temporary directory: our fencebrokerd, or dbus-daemon to compare
 * it with. It is killed when the bench ends. */
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
	const char *bus; /* NULL: none; else its address, with `policy` */
};

/* The policy of a system daemon that lets everybody connect and register. */
extern const char daemon_policy_open[];

int daemon_start(struct daemon *daemon, const struct daemon_setup *setup);
int daemon_start_dbus(struct daemon *daemon); /* as for a session, to compare with */
int daemon_start_bus(struct daemon *daemon);  /* dbus-daemon, for a row: open to all users */
void daemon_stop(struct daemon *daemon);      /* no-op for one that was not started */

/* Its anonymous memory (smaps_rollup): heap and stacks, no shared pages. Bytes, or -1. */
long daemon_anonymous(const struct daemon *daemon);

/* Waits until the daemon has not run for 300 ms. */
int daemon_await_idle(const struct daemon *daemon);

/* The path of the file `name` in the directory of fence-bench itself. */
int bench_path(const char *name, char *ret_path, size_t size);
