// SPDX-License-Identifier: MIT
/* Payloads of 32 bits, read as 64-bit values (proto/narrow.h). Any thread, no lock. */
#pragma once

#include <stdint.h>

struct fbk_timeline;

uint64_t narrow_load(const struct fbk_timeline *timeline);
