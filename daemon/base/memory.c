// SPDX-License-Identifier: MIT
#include "memory.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define HEAP_RESERVE  (1 << 20)
#define STACK_RESERVE (64 << 10)

/* Touch more stack than any callback uses; the lock keeps it in RAM. */
static void stack_touch(void)
{
	volatile char stack[STACK_RESERVE];
	for (size_t i = 0; i < sizeof(stack); i += 1024) {
		stack[i] = 0;
	}
}

static void oom_spare(void)
{
	/* Without CAP_SYS_RESOURCE the write fails, and the unit's OOMScoreAdjust= holds. */
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	if (fd >= 0) {
		ssize_t written = write(fd, "-900", 4);
		(void)written;
		close(fd);
	}
}

int memory_lock(void)
{
	oom_spare();
	/* malloc keeps freed memory, and takes large blocks from the same heap. */
	mallopt(M_TRIM_THRESHOLD, -1);
	mallopt(M_MMAP_MAX, 0);
	if (mlockall(MCL_CURRENT | MCL_FUTURE) < 0) {
		return -errno;
	}
	stack_touch();
	char *heap = malloc(HEAP_RESERVE);
	if (!heap) {
		return -ENOMEM;
	}
	memset(heap, 0, HEAP_RESERVE);
	free(heap);
	return 0;
}
