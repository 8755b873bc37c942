// SPDX-License-Identifier: MIT
/* Looking at a point: payload and status. Hot path; any thread, no lock, no system call. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "fencebroker.h"

struct fbk_timeline;

/* 0: reached; -EAGAIN; or why it failed. Where `timeline` is there, in this process, unlike fbk_point_check(). */
int timeline_check(const struct fbk_timeline *timeline, uint64_t value);

/* fbk_point_check() that says nothing of a failure: what it finds is no error of this call. */
int point_look(struct fbk_point point);

/* fbk_point_wait_any() the same way, where it does not matter which. */
int points_wait_any(const struct fbk_point *points, size_t count, uint64_t deadline_ns);
