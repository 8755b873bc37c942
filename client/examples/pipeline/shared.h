// SPDX-License-Identifier: MIT
/*
 * Shared memory: a memfd that can't shrink or grow, mapped as long as the struct lives. The maker writes
 * it; other processes open it for reading and get a read-only mapping. Not tied to a thread.
 */
#pragma once

#include <stddef.h>

struct shared {
	void *memory;
	size_t size;
	int fd;
};

/* `name` is for people (/proc/PID/maps). Negative errno of memfd_create, ftruncate or mmap. */
int shared_create(struct shared *shared, const char *name, size_t size);

/* Takes the fd.  -EPROTO  it is not a sealed memfd of at least `size` bytes */
int shared_open(struct shared *shared, int fd, size_t size);

/* The same with a writable mapping. */
int shared_adopt(struct shared *shared, int fd, size_t size);

void shared_finish(struct shared *shared); /* takes a zeroed struct */
