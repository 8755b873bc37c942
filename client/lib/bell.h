// SPDX-License-Identifier: MIT
/* The doorbell: asks the daemon to look at a timeline. Any thread, no lock; it never blocks. */
#pragma once

#include <stdint.h>

struct fbk_context;

void bell_ring(struct fbk_context *context, uint32_t handle);
