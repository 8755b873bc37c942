// SPDX-License-Identifier: MIT
/* The names of fence kinds, as the lists and sentences of the daemon have them. Pure. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define KIND_COUNT 6 /* enum fbk_fence_kind: bits from 0 */
#define KINDS_ALL  ((1U << KIND_COUNT) - 1)

/* The names of the bits in a mask, in their order; returns how many. Unknown bits have none. */
size_t kind_names(uint32_t mask, const char *ret_names[KIND_COUNT]);

/* Of one bit. */
const char *kind_name(uint32_t kind);
