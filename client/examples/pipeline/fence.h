// SPDX-License-Identifier: MIT
/*
 * Fences of a device without memory fences. It makes one for each piece of work, and signals it when
 * that is done; the broker follows the other end, an fd. Each kind has its own file. A maker and its
 * fences belong to one thread.
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
	/* `error` gets a sentence if this machine has none. */
	int (*open)(struct fence_maker **ret_maker, char *error, size_t error_size);
	/* A new, unsignalled fence. Gives the fd. */
	int (*create)(struct fence_maker *maker, struct fence *ret_fence, int *ret_fd);
	/* Signal it, once. */
	void (*signal)(struct fence *fence);
	/* Free it, signalled or not; an unsignalled one stays so while its maker is open. Takes a zeroed one. */
	void (*finish)(struct fence *fence);
	void (*close)(struct fence_maker *maker); /* takes NULL */
};

extern const struct fence_kind fence_eventfd;   /* no kernel fence, but works on every machine */
extern const struct fence_kind fence_sync_file; /* a kernel fence, by the vgem driver */
