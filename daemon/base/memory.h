// SPDX-License-Identifier: MIT
/*
 * Rule R13: who signals fences that the kernel waits for must never wait for memory itself, since
 * freeing memory may wait for those fences.
 */
#pragma once

/* Keep everything that is mapped now and later in RAM, have some heap in reserve that is never given
 * back, and be the last to be killed when memory runs out. 0 or why the first is not possible. */
int memory_lock(void);
