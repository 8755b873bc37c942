// SPDX-License-Identifier: MIT
/*
 * <sys/queue.h> as the C library has it, plus the one macro it lacks: walking a list while removing
 * from it. Objects embed their entries; whoever owns the head may touch it, on the loop's thread.
 */
#pragma once

#include <sys/queue.h>

#include "proto/container.h"

#define LIST_FOREACH_SAFE(var, head, field, next) \
	for ((var) = LIST_FIRST(head); (var) && ((next) = LIST_NEXT(var, field), 1); (var) = (next))
