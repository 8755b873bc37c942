// SPDX-License-Identifier: MIT
/*
 * Rule R13: a process that signals fences for the kernel must never wait for memory, since freeing memory
 * may wait for those fences.
 */
#pragma once

/* Lock all mappings, present and future, into RAM; keep a reserve of heap that is never given back; and
 * lower the process's OOM score. 0, or why the memory can't be locked. */
int memory_lock(void);
