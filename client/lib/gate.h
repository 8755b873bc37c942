// SPDX-License-Identifier: MIT
/*
 * Gates: a watch with something to do when it fires. What it does is the kind's (gate-kms.c, gate-v4l2.c), which embeds the
 * gate as its first member.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "fencebroker.h"
#include "handle.h"

struct fbk_gate {
	struct fbk_watch handle; /* the program's where it is `kept`; else the library's */
	int (*act)(struct fbk_gate *gate);
	void (*finish)(struct fbk_gate *gate); /* once, after or instead of it; or NULL */
	fbk_point_fn *done;
	void *arg;
	bool kept;
};

/* What the program asked for, but for the action. */
struct gate_request {
	struct fbk_point point;
	uint64_t deadline_ns;
	fbk_point_fn *done;
	void *arg;
	struct fbk_gate **ret_gate; /* or NULL */
};

/* Takes the gate, on the heap, also when it fails. */
int gate_begin(struct fbk_gate *gate, const struct gate_request *request);
