// SPDX-License-Identifier: MIT
/*
 * Notifiers tell the daemon that a kernel fence of a client has signalled. One file each behind this
 * interface. None may block on the fd, which a stranger made. Loop's thread only.
 */
#pragma once

#include <stdint.h>

struct broker;
struct event;

/* `result`: 0, or the fence's error. Called once. */
typedef void notifier_fn(void *arg, int result);

struct notifier {
	const char *name;
	uint32_t kind; /* one of enum fbk_fence_kind */
	/* Start to listen; `fn` may be called by the loop from now on. `detail` is FBK_REASON_SIZE. */
	int (*start)(struct broker *broker, int fd, notifier_fn *fn, void *arg, void **ret_state,
		     char *detail);
	void (*stop)(void *state); /* before or after it fired; takes NULL */
};

extern const struct notifier notifier_eventfd;

/* The one for fences of this kind, or NULL. */
const struct notifier *notifier_find(uint32_t kind);
