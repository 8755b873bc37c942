// SPDX-License-Identifier: MIT
/* Waits for points inside the daemon: put a struct arm (timeline.h) on its timeline and take it off. Loop's thread
 * only. */
#pragma once

#include "timeline.h"

/* Wait for a point. If it is decided already, `done` is called before this returns. */
void arm_add(struct arm *arm, struct timeline *timeline, uint64_t value);
void arm_remove(struct arm *arm); /* no-op when not armed */

/* The deadline of the wait passed: take the arm off, catch up with the timeline's source, and read the payload once
 * more. Returns the state of the point: 0 reached, -EAGAIN undecided, or the error. */
int arm_expire(struct arm *arm);
