// SPDX-License-Identifier: MIT
/*
 * Promises: may one be made, and what makes it. A promised fence is unsignalled, the kernel waits for it, and a process
 * signals it: the kernel's documentation forbids that. So this is a lab's tool, and only a build with -DFBK_PROMISES=ON
 * has it: promise.c and provider-vgem.c. Any other has promise-none.c in their place. Loop's thread only.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "daemon/core/handle.h"
#include "translator.h"

/* The policy is new: if it allows promises, lock the memory, since a process that signals for the kernel must not wait
 * for memory (rule R13); or say that this build has none. */
void promises_prepare(struct translator *translator);

/* Can promises be made by this build, on this machine, by this policy? 0, or an error with a `detail`. */
int promises_work(struct translator *translator, char *detail);

/* An unsignalled sync_file; a signalled one for a point that is reached. `implicit`: for a dma-buf's reservation.
 * `ret_fd` is for the caller to send and close. `detail` is FBK_REASON_SIZE. */
int promise_make(struct translator *translator, struct handle *handle, uint64_t value,
		 bool implicit, int *ret_fd, char *detail);
