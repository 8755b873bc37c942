// SPDX-License-Identifier: MIT
/*
 * A word that the kernel changes when this thread ends, however it ends: a robust futex (set_robust_list(2)). It does so
 * before the process's file descriptors are closed. One word, of the thread that calls this; that thread then can't hold
 * robust mutexes of pthreads.
 */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

/* While this thread lives, the word is its number; afterwards with FUTEX_OWNER_DIED set. */
int robust_hold(_Atomic uint32_t *word);

/* As if it had ended. The memory may go then. */
void robust_release(_Atomic uint32_t *word);
