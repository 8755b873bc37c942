// SPDX-License-Identifier: MIT
/* The machine: clock, CPUs, caches, memory shared with forked processes. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* The CPU of each process, the same on both sides of a row. With two CPUs, relay and partner share one. */
enum place {
	PLACE_LEADER,  /* signals, and takes the time */
	PLACE_PARTNER, /* waits */
	PLACE_RELAY,   /* the daemon, or the raw side's relay process */
};

void host_init(void);
unsigned int host_cpus(void); /* in the initial affinity mask */
void host_pin(enum place place);
void host_unpin(void); /* to all of these */

uint64_t host_now(void);      /* CLOCK_MONOTONIC, ns */
void host_think(uint64_t ns); /* busy loop */
long host_sleeps(void);       /* voluntary context switches of this thread */

/* Zeroed, shared with children forked later. NULL without memory. */
void *host_share(size_t size);
void host_unshare(void *memory, size_t size);

size_t host_llc_bytes(void);    /* size of the largest cache; 0: unknown */
size_t host_stream_bytes(void); /* size of host_stream()'s buffer */
/* Write each line of a buffer of twice the last-level cache (at most 1 GiB). 0 or -ENOMEM. */
int host_stream(void);

const char *host_cpu_name(void);

/* The number after `key` in /proc/PID/FILE; -1 when there is none. */
long host_proc_number(pid_t pid, const char *file, const char *key);
