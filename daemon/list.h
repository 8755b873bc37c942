// SPDX-License-Identifier: MIT
/*
 * <sys/queue.h> as the C library has it, plus the one macro it lacks: walking a list while removing
 * from it. Objects embed their entries; whoever owns the head may touch it, on the loop's thread.
 */
#pragma once

#include <stddef.h>
#include <sys/queue.h>

#define LIST_FOREACH_SAFE(var, head, field, next) \
	for ((var) = LIST_FIRST(head); (var) && ((next) = LIST_NEXT(var, field), 1); (var) = (next))

#define container_of(pointer, type, member) \
	((type *)(void *)((char *)(pointer)-offsetof(type, member)))
