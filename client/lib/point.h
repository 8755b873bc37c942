// SPDX-License-Identifier: MIT
/* Looking at a point: payload and status. Hot path; any thread, no lock, no system call. */
#pragma once

#include <stdint.h>

struct fbk_timeline;

/* 0: reached; -EAGAIN; or why it failed. Where `timeline` is there, in this process, unlike fbk_point_check(). */
int timeline_check(const struct fbk_timeline *timeline, uint64_t value);
