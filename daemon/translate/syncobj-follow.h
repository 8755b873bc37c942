// SPDX-License-Identifier: MIT
/*
 * Waits for points of a drm_syncobj, one after the other, with their errors: first for something to be
 * submitted for the point, then for that fence. Embedded in what needs it. What the kernel can't take
 * back, waiting for a submission, is charged to a user, and stays so for a minute once it is
 * abandoned. Loop's thread only.
 */
#pragma once

#include <stdint.h>

#include "notifier.h"

struct event;
struct submit_arm;

struct syncobj_follow {
	struct translator *translator;
	struct user *user;
	uint32_t handle; /* of translator->drm; 0: closed */
	uint64_t point;
	notifier_fn *fn;
	void *arg;
	struct submit_arm *submit; /* nothing was submitted yet; NULL: not waited for */
	int sync_file;             /* of the point; -1 */
	struct event *signalled;
};

/* Open the syncobj of a classified fd. */
int syncobj_follow_init(struct syncobj_follow *follow, struct translator *translator,
			const struct fence *fence, notifier_fn *fn, void *arg, char *detail);
void syncobj_follow_finish(struct syncobj_follow *follow);

/* Wait for `point` (0: the fence that a binary one holds now); `fn` is called for it once. Not while
 * another is waited for. */
int syncobj_follow_next(struct syncobj_follow *follow, uint64_t point, char *detail);

/* Those that were abandoned too, at the end. */
void submit_arms_finish(struct translator *translator);

/* Read its state now: -EAGAIN, or what `fn` would be told. */
int syncobj_follow_look(struct syncobj_follow *follow);

void syncobj_follow_hint(struct syncobj_follow *follow, uint64_t deadline_ns);
