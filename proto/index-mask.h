// SPDX-License-Identifier: MIT
/* A set of a link's buffers: a bit for each index. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

static inline uint64_t index_bit(uint32_t index)
{
	return UINT64_C(1) << index;
}

/* for (each bit of `mask`, as `index`) */
#define FOREACH_INDEX(index, mask)                                                                 \
	for (uint64_t rest_ = (mask); rest_ && ((index) = (uint32_t)__builtin_ctzll(rest_), true); \
	     rest_ &= rest_ - 1)
