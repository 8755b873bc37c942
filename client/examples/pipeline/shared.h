// SPDX-License-Identifier: MIT
/*
 * Memory that one process makes and others see: a memfd that can't shrink or grow, mapped for as
 * long as the struct lives. The maker writes; who opens it only reads, and gets a mapping that does
 * no more. Not tied to a thread.
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

/* The same for who writes it too. */
int shared_adopt(struct shared *shared, int fd, size_t size);

void shared_finish(struct shared *shared); /* of a zeroed struct: nothing */
