// SPDX-License-Identifier: MIT
/*
 * Fds that clients sent (rule R5): the one place that classifies them, before any other use, and refuses them. Loop's
 * thread only.
 */
#pragma once

#include <stdint.h>

#include "registry.h"

/*
 * Classify `fd`: `ret_kind` is one of the mask `wanted` of enum fbk_fence_kind. For any other kind the fd is counted as
 * refused, `detail`, of FBK_REASON_SIZE, says what it is and that it is not `what`, and `error` is returned.
 */
int received_fence(struct registry *registry, int fd, uint32_t wanted, const char *what, int error,
		   int *ret_kind, char *detail);

/* Is the fd memory for frames of the enum fbk_memory_kind `memory`: a dma-buf, or a memfd sealed against shrinking? If
 * not: -EINVAL, and a `detail` with `index`. */
int received_buffer(struct registry *registry, int fd, uint32_t memory, uint32_t index,
		    char *detail);

/* Count an fd that the caller refuses for a reason of its own. Returns `error`. */
int received_refuse(struct registry *registry, int error);
