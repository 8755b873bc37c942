// SPDX-License-Identifier: MIT
/* The names of fence kinds in the daemon's lists and sentences. Pure. */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define KIND_COUNT 6 /* bits of enum fbk_fence_kind, from 0 */
#define KINDS_ALL  ((1U << KIND_COUNT) - 1)

/* The names of the bits in a mask, lowest bit first; returns how many. Unknown bits have no name. */
size_t kind_names(uint32_t mask, const char *ret_names[KIND_COUNT]);

/* The name of a mask of one bit. */
const char *kind_name(uint32_t kind);
