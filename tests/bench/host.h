// SPDX-License-Identifier: MIT
/* The machine: clock, CPUs, caches, memory that forked processes share. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Who runs where, the same on both sides of a row. With two CPUs, relay and partner share one. */
enum place {
	PLACE_LEADER,  /* who signals and takes the time */
	PLACE_PARTNER, /* who waits */
	PLACE_RELAY,   /* the daemon, or the raw relay in its place */
};

void host_init(void);
unsigned int host_cpus(void); /* that we may use */
void host_pin(enum place place);
void host_unpin(void); /* to all that we may use */

uint64_t host_now(void);      /* CLOCK_MONOTONIC, ns */
void host_think(uint64_t ns); /* compute for that long */
long host_sleeps(void);       /* how often this thread went to sleep by itself */

/* Zeroed, shared with children forked later. NULL without memory. */
void *host_share(size_t size);
void host_unshare(void *memory, size_t size);

size_t host_llc_bytes(void);    /* the largest cache; 0: not known */
size_t host_stream_bytes(void); /* what host_stream() walks through */
/* Write each line of a buffer of twice the last-level cache (at most 1 GiB). 0 or -ENOMEM. */
int host_stream(void);

const char *host_cpu_name(void);

/* A number behind `key` in a /proc file of `pid`; -1: not there. */
long host_proc_number(pid_t pid, const char *file, const char *key);
