// SPDX-License-Identifier: MIT
/* Waiting for a point inside the daemon: struct arm of timeline.h, put on its timeline and taken off. Loop's thread
 * only. */
#pragma once

#include "timeline.h"

/* Wait for a point. When it is decided already, `done` is called before this returns. */
void arm_add(struct arm *arm, struct timeline *timeline, uint64_t value);
void arm_remove(struct arm *arm); /* no-op when not armed */

/* Its deadline passed: take it off, read the payload once more, and what it follows, and say how the
 * point stands: 0 reached, -EAGAIN not, or the error. */
int arm_expire(struct arm *arm);
