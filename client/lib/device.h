// SPDX-License-Identifier: MIT
/* Devices and share sets: children of a context, freed by the program or with it. Constant but for `child`. */
#pragma once

#include <stdint.h>

#include "child.h"
#include "fencebroker.h"

struct fbk_device {
	struct child child;
	struct fbk_context *context;
	uint32_t number;
	enum fbk_backing backing;
	uint32_t signals; /* kinds of fences; 0: not known here */
};

struct fbk_set {
	struct child child;
	struct fbk_context *context;
	uint32_t number;
};

struct Fbk__Wire__Object;

/* Make the device that the daemon's Welcome names. */
int device_adopt(struct fbk_context *context, const struct Fbk__Wire__Object *object);
