// SPDX-License-Identifier: MIT
#include "received.h"

#include <errno.h>
#include <stdio.h>

int received_refuse(struct registry *registry, int error)
{
	registry->counters.fds_refused++;
	return error;
}

int received_fence(struct registry *registry, int fd, uint32_t wanted, const char *what, int error,
		   int *ret_kind, char *detail)
{
	char found[64];
	int kind;
	if (classify_fd(&registry->classifier, fd, &kind, found, sizeof(found)) < 0 ||
	    !(wanted & (uint32_t)kind)) {
		snprintf(detail, FBK_REASON_SIZE, "that fd is %s, not %s", found, what);
		return received_refuse(registry, error);
	}
	*ret_kind = kind;
	return 0;
}

int received_buffer(struct registry *registry, int fd, uint32_t memory, uint32_t index,
		    char *detail)
{
	char found[64];
	int kind = classify_buffer(&registry->classifier, fd, found, sizeof(found));
	if (kind < 0) {
		snprintf(detail, FBK_REASON_SIZE,
			 "buffer %u is %s: pass a dma-buf, or a memfd sealed against shrinking",
			 index, found);
		return received_refuse(registry, -EINVAL);
	}
	if (kind != (int)memory) {
		snprintf(detail, FBK_REASON_SIZE,
			 "buffer %u is a %s: its memory is %d, and %u was said", index,
			 kind == FBK_MEMORY_DMABUF ? "dma-buf" : "memfd", kind, memory);
		return received_refuse(registry, -EINVAL);
	}
	return 0;
}
