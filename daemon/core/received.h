// SPDX-License-Identifier: MIT
/*
 * Fds that clients sent (rule R5): classified before anything else is done with them, and refused, in one place.
 * Loop's thread only.
 */
#pragma once

#include <stdint.h>

#include "registry.h"

/*
 * What `fd` is: one of the mask `wanted` of enum fbk_fence_kind. Else it is counted as refused, `detail` of
 * FBK_REASON_SIZE says what it is and that it is not `what`, and `error` comes back.
 */
int received_fence(struct registry *registry, int fd, uint32_t wanted, const char *what, int error,
		   int *ret_kind, char *detail);

/* Is it memory that frames can be in: a dma-buf, or a memfd sealed against shrinking? `index` is for the sentence.
 * -EINVAL. */
int received_buffer(struct registry *registry, int fd, uint32_t index, char *detail);

/* Refuse it for another reason, which `detail` already says. Returns `error`. */
int received_refuse(struct registry *registry, int error);
