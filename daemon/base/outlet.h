// SPDX-License-Identifier: MIT
/*
 * An outlet: how the daemon speaks to somebody that is no client and may never read. Its thread writes what stands in a
 * bounded queue; what finds no room is dropped and counted. The thread starts with the first entry, and sleeps while there is
 * none. O_NONBLOCK would not do: it holds for everybody who shares stderr, and does nothing for a file on a busy disk.
 *
 * One thread puts entries in. Outlets are static.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* First in each entry. */
struct outlet_entry {
	unsigned int lost; /* how many were dropped right before it */
};

struct outlet {
	/* Its owner's, constant. */
	const char *thread_name;
	void *ring;
	size_t entry_size;
	unsigned int capacity;                           /* a power of two */
	void (*write)(const struct outlet_entry *entry); /* may block */
	void (*gap)(unsigned int lost); /* the same, of entries that were dropped; NULL: unsaid */

	/* The outlet's, under its mutex. */
	pthread_mutex_t mutex;
	pthread_cond_t filled, over;
	pthread_t thread;
	unsigned int head, count;
	unsigned int lost; /* since the newest entry */
	uint64_t dropped;
	bool started, ending, ended;
};

#define OUTLET_INIT                                                             \
	.mutex = PTHREAD_MUTEX_INITIALIZER, .filled = PTHREAD_COND_INITIALIZER, \
	.over = PTHREAD_COND_INITIALIZER

/* An entry to be filled, its head aside; NULL, and counted: no room. */
void *outlet_begin(struct outlet *outlet);

/* What outlet_begin() returned is complete. */
void outlet_commit(struct outlet *outlet);

/* How many were dropped in all. */
uint64_t outlet_dropped(struct outlet *outlet);

/* Return when all is written and the thread is gone, or after `patience_ns`. The next entry starts another one. */
void outlet_finish(struct outlet *outlet, uint64_t patience_ns);
