// SPDX-License-Identifier: MIT
/*
 * Providers make kernel primitives that the daemon signals later. One file each behind this
 * interface, probed at start. `fire` is on the way from doorbell to delivery: it neither blocks nor
 * allocates. Loop's thread only.
 */
#pragma once

#include <stdint.h>

struct broker;

struct provider {
	const char *name;
	uint32_t kind; /* one of enum fbk_fence_kind: what a consumer gets */
	/* 0, or a negative errno with the reason in `why` (FBK_REASON_SIZE). */
	int (*probe)(struct broker *broker, char *why);
	/* The daemon's own fd; a duplicate of it goes out. */
	int (*create)(struct broker *broker, int *ret_fd);
	/* Signal it. `result`: 0, or the negative errno it stands for where the primitive can say so. */
	int (*fire)(struct broker *broker, int fd, int result);
};

extern const struct provider provider_eventfd;

/* The one that makes this kind, or NULL. */
const struct provider *provider_find(uint32_t kind);
