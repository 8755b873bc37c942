// SPDX-License-Identifier: MIT
/*
 * Notifiers tell the daemon that a kernel fence of a client has signalled. One file each behind this
 * interface. None may block on the fd, which a stranger made. Loop's thread only.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct translator;
struct user;

/* `result`: 0, or the fence's error. Called once, never from within start. */
typedef void notifier_fn(void *arg, int result);

/* What is to be followed: a fd that was classified, and stays its owner's. */
struct fence {
	int fd;
	uint64_t point;    /* of a syncobj; 0: it is binary */
	struct user *user; /* to be charged for what it takes */
};

struct notifier {
	const char *name;
	uint32_t kind; /* one of enum fbk_fence_kind */
	/* close(2) of such a fd cannot block, whatever was done to it, since the kernel's own function for it
	 * does not: it needs no helper. */
	bool closes_at_once;
	/* Start to listen; `fn` may be called by the loop from now on. `detail` is FBK_REASON_SIZE. */
	int (*start)(struct translator *translator, const struct fence *fence, notifier_fn *fn,
		     void *arg, void **ret_state, char *detail);
	void (*stop)(void *state); /* before or after it fired; takes NULL */
	/* Read it now: -EAGAIN, or what `fn` would be told, which is then not called for it. */
	int (*look)(void *state);
	/* It is wanted by then. NULL: whoever signals can't be told. */
	void (*hint)(void *state, uint64_t deadline_ns);
};

extern const struct notifier notifier_eventfd, notifier_sync_file, notifier_syncobj;

/* The one for fences of this kind, or NULL. */
const struct notifier *notifier_find(uint32_t kind);
