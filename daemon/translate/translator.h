// SPDX-License-Identifier: MIT
/*
 * What exports, imports and mirrors share: the DRM devices and contexts that make and signal kernel fences, and the
 * promises that are under way. daemon.c fills it in. Loop's thread only.
 */
#pragma once

#include <bsd/sys/queue.h>
#include <stdbool.h>

#include "daemon/base/aio.h"
#include "daemon/core/registry.h"
#include "origin.h"
#include "proto/drm.h"

struct export;
struct submit_arm;
struct vgem;

struct translator {
	struct registry *registry;
	struct aio aio;
	struct drm drm;
	struct vgem *vgem;      /* provider-vgem.c; NULL: not in use */
	int memory_lock;        /* 0: all memory is locked in RAM (rule R13); else the error */
	struct origins origins; /* exports that may come back as imports */
	LIST_HEAD(, submit_arm) submit_arms; /* syncobj-follow.c */
	LIST_HEAD(, export) promises;
	unsigned int promise_count;
	bool stopping; /* no new promise is made */
	/* Called while stopping, when the last promise is kept or broken. */
	void (*promises_over)(struct translator *translator);
};
