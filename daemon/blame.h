// SPDX-License-Identifier: MIT
/*
 * Who is to blame when a point does not come: follows what the signaler itself waits for, from
 * timeline to timeline, to the one process that waits for nobody. Looks only; loop's thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct timeline;

void blame_describe(struct timeline *timeline, uint64_t value, char *ret_text, size_t size);
