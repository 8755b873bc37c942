// SPDX-License-Identifier: MIT
/*
 * A provider makes kernel primitives that the daemon signals later. Each has one file behind this interface.
 * `fire` is on the path from doorbell to delivery: it neither blocks nor allocates. Loop's thread only.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "proto/drm.h"

struct translator;

/* What a provider keeps of one primitive. */
union provided {
	int fd;
	struct syncobj syncobj;
	void *pointer;
};

struct provider {
	const char *name;
	uint32_t kind;    /* one of enum fbk_fence_kind: what a consumer gets */
	unsigned int fds; /* that one primitive costs the daemon, with the fd that goes out */
	bool keeps_fd; /* provided.fd is of the description that goes out; else export.c keeps one */
	/* 0, or a negative errno with the reason in `why` (FBK_REASON_SIZE). */
	int (*probe)(struct translator *translator, char *why);
	/* `ret_fd` goes out; the caller closes it once it is sent. NULL: export.c is given the primitive. */
	int (*create)(struct translator *translator, int *ret_fd, union provided *ret_provided);
	/* Signal the primitive at this point, with `result`, 0 or a negative errno, where it can
	 * carry one. -ETIME: the kernel's own timeout signalled it before. */
	int (*fire)(struct translator *translator, union provided *provided, uint64_t point,
		    int result);
	void (*destroy)(struct translator *translator, union provided *provided); /* fired or not */
};

/* Late: the kernel never waits for these before they fire. */
extern const struct provider provider_eventfd, provider_syncobj;

/* A point of a syncobj that somebody else made. Where the point fails or expires it stays without a fence: the value for
 * "failed" would signal all points of that syncobj, and others wait for those. */
extern const struct provider provider_syncobj_point;

/* Promises: must fire within a bound that the kernel sets. */
extern const struct provider provider_vgem;

/* vgem is another device now, or none: no new fence is made with the file that is open. */
void vgem_let_go(struct translator *translator);

/* Destroys the pool of vgem objects when the daemon ends. */
void vgem_finish(struct translator *translator);

/* The provider of late exports of this kind, or NULL. */
const struct provider *provider_find(uint32_t kind);
