// SPDX-License-Identifier: MIT
/*
 * Fences of a device that has none in memory. It makes one for each thing that it is going to do,
 * and signals it when that is done; the broker follows the other end, an fd. Each kind is a file of
 * its own. A maker and its fences belong to one thread.
 */
#pragma once

#include <stddef.h>

struct fence_maker;

struct fence {
	struct fence_maker *maker;
	void *object;
};

struct fence_kind {
	const char *name;
	/* `error` gets a sentence when there is no such thing here. */
	int (*open)(struct fence_maker **ret_maker, char *error, size_t error_size);
	/* One that is not signalled. Gives the fd. */
	int (*create)(struct fence_maker *maker, struct fence *ret_fence, int *ret_fd);
	/* Once for each. */
	void (*signal)(struct fence *fence);
	/* Signalled or not; one that is not stays so while its maker is open. Takes a zeroed one. */
	void (*finish)(struct fence *fence);
	void (*close)(struct fence_maker *maker); /* takes NULL */
};

extern const struct fence_kind fence_eventfd;   /* no kernel fence, but all can be had everywhere */
extern const struct fence_kind fence_sync_file; /* a real one, by the kernel's vgem driver */
