// SPDX-License-Identifier: MIT
/*
 * Waits for points of a drm_syncobj, one after the other, and reports their errors: waits first until a fence is
 * submitted for the point, then for that fence. Embedded in an import's state or a mirror. The kernel can't cancel a
 * wait for a submission; such a wait is charged to a user, and for a minute more after it is abandoned. Loop's thread
 * only.
 */
#pragma once

#include <stdint.h>

#include "notifier.h"
#include "proto/drm.h"

struct event;
struct submit_arm;

struct syncobj_follow {
	struct translator *translator;
	struct user *user;
	struct syncobj syncobj;
	uint64_t point;
	notifier_fn *fn;
	void *arg;
	struct submit_arm *submit; /* the wait for a submission; NULL: none */
	int sync_file;             /* of the point; -1: none */
	struct event *signalled;
};

/* Open the syncobj of a classified fd. */
int syncobj_follow_init(struct syncobj_follow *follow, struct translator *translator,
			const struct fence *fence, notifier_fn *fn, void *arg, char *detail);
void syncobj_follow_finish(struct syncobj_follow *follow);

/* Wait for `point` (0: the fence that a binary syncobj holds now); `fn` is called once. Only one point at a time. */
int syncobj_follow_next(struct syncobj_follow *follow, uint64_t point, char *detail);

/* The device of that file is gone: report that to whoever waits for a submission. */
void submit_arms_gone(struct translator *translator, const struct drm_file *file);

/* The daemon ends: destroy all waits for submissions, also abandoned ones. */
void submit_arms_finish(struct translator *translator);

/* Read the point's state now: FENCE_PENDING, or the result that `fn` would get. */
int syncobj_follow_look(struct syncobj_follow *follow);

void syncobj_follow_hint(struct syncobj_follow *follow, uint64_t deadline_ns);
