// SPDX-License-Identifier: MIT
/* Raising payloads of 32 bits (proto/narrow.h). Any thread, no lock. */
#pragma once

#include <stdint.h>

struct fbk_timeline;

/* 0, or -EALREADY, both with what the payload then is; else an error. */
int narrow_raise(struct fbk_timeline *timeline, uint64_t value, uint64_t *ret_reached);
