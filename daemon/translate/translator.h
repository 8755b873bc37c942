// SPDX-License-Identifier: MIT
/*
 * What the translation to kernel fences and back shares: the devices and contexts that make and signal them, and
 * what is under way. Filled in by daemon.c. Loop's thread only.
 */
#pragma once

#include <stdbool.h>

#include "daemon/base/aio.h"
#include <bsd/sys/queue.h>
#include "origin.h"
#include "proto/drm.h"
#include "daemon/core/registry.h"

struct export;
struct submit_arm;
struct vgem;

struct translator {
	struct registry *registry;
	struct aio aio;
	struct drm drm;
	struct vgem *vgem;      /* provider-vgem.c; NULL: not used */
	int memory_lock;        /* 0: all memory stays in RAM (rule R13); else why not */
	struct origins origins; /* exports that may come back as imports */
	LIST_HEAD(, submit_arm) submit_arms; /* syncobj-follow.c */
	LIST_HEAD(, export) promises;
	unsigned int promise_count;
	bool stopping; /* nothing more is promised */
	/* While stopping: the last promise is kept or broken. */
	void (*promises_over)(struct translator *translator);
};
