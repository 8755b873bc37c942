// SPDX-License-Identifier: MIT
/*
 * The guard: a thread that sleeps in a futex can't see the socket hang up. So while there may be such
 * threads, one more sits in poll(2) for nothing but the hang-up. It reads nothing that others wait for.
 */
#pragma once

struct fbk_context;

int guard_start(struct fbk_context *context); /* if there is none; not under the mutex */
void guard_end(struct fbk_context *context);  /* at the end of the context */
