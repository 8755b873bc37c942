// SPDX-License-Identifier: MIT
/*
 * A notifier reports that a kernel fence of a client has signalled. Each kind of fence has one file behind this
 * interface. None may block on the fd, which a stranger made. Loop's thread only.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "daemon/rules/graph.h"
#include "proto/sync-file.h"

struct translator;
struct user;

/* `result`: 0, or the fence's error. Called once, never from within start. */
typedef void notifier_fn(void *arg, int result);

/* A fence to follow: a classified fd, which stays its owner's. */
struct fence {
	int fd;
	uint64_t point;    /* of a syncobj; 0: a binary one */
	struct user *user; /* is charged for the notifier's resources */
	/* Of a fence that this daemon handed out: for which point; its timeline is NULL where a stranger made the fence. */
	struct graph_point behind;
};

struct notifier {
	const char *name;
	uint32_t kind; /* one of enum fbk_fence_kind */
	/* close(2) of such an fd never blocks, as its release function in the kernel does not: it needs no
	 * helper. */
	bool closes_at_once;
	/* Start; the loop may call `fn` from now on. `detail` is FBK_REASON_SIZE. */
	int (*start)(struct translator *translator, const struct fence *fence, notifier_fn *fn,
		     void *arg, void **ret_state, char *detail);
	void (*stop)(void *state); /* before or after `fn` was called; takes NULL */
	/* Read the fence now: FENCE_PENDING, or the result; then the caller stops the notifier instead of `fn`. */
	int (*look)(void *state);
	/* No kernel fence stands behind it, or none yet: some process has to act, and may never. NULL: one does. */
	bool (*promised)(const void *state);
	/* A waiter wants the fence by this deadline. NULL: its signaler takes no hints. */
	void (*hint)(void *state, uint64_t deadline_ns);
	/* Why it failed, or NULL. NULL: no more is known than the error. */
	const char *(*reason)(const void *state);
	/* The point that it follows; its timeline is NULL once that is decided. NULL: a kernel fence. */
	struct graph_point (*behind)(const void *state);
};

extern const struct notifier notifier_eventfd, notifier_sync_file, notifier_syncobj;

/* For fences of any kind that this daemon handed out. */
extern const struct notifier notifier_point;

/* The notifier for fences of this kind, or NULL. */
const struct notifier *notifier_find(uint32_t kind);
