// SPDX-License-Identifier: MIT
/*
 * Providers make kernel primitives that the daemon signals later. One file each behind this
 * interface, probed at start. `fire` is on the way from doorbell to delivery: it neither blocks nor
 * allocates. Loop's thread only.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct translator;

/* What a provider keeps of one thing it made. */
union provided {
	int fd;
	uint32_t handle;
	void *pointer;
};

struct provider {
	const char *name;
	uint32_t kind;    /* one of enum fbk_fence_kind: what a consumer gets */
	unsigned int fds; /* that one costs the daemon, with the one that goes out */
	bool keeps_fd; /* provided.fd is of the description that goes out; else one is kept beside */
	/* 0, or a negative errno with the reason in `why` (FBK_REASON_SIZE). */
	int (*probe)(struct translator *translator, char *why);
	/* `ret_fd` goes out, and is closed once it is sent. */
	int (*create)(struct translator *translator, int *ret_fd, union provided *ret_provided);
	/* Signal it for this point; -ETIME: the kernel did so before, by itself. `result`: 0, or
	 * the negative errno it stands for, where the primitive can say so. */
	int (*fire)(struct translator *translator, union provided *provided, uint64_t point,
		    int result);
	void (*destroy)(struct translator *translator, union provided *provided); /* fired or not */
};

/* Fired late: nothing in the kernel relies on them before. */
extern const struct provider provider_eventfd, provider_syncobj;

/* Fired within a bound that the kernel sets: promises. */
extern const struct provider provider_vgem;

/* Lets go of vgem's pool, at the end. */
void vgem_finish(struct translator *translator);

/* The late one that makes this kind, or NULL. */
const struct provider *provider_find(uint32_t kind);
