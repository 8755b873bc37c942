// SPDX-License-Identifier: MIT
#include "description.h"

#include <fcntl.h>
#include <linux/kcmp.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kernel-file.h"

#ifndef F_DUPFD_QUERY
#define F_DUPFD_QUERY (1024 + 3) /* Linux 6.10 */
#endif

/* Older kernels say EINVAL. Asked once. */
static bool query_works(int fd)
{
	static _Atomic int works; /* 0: not known; 1; -1 */
	/* relaxed: all who ask get the same answer */
	int known = atomic_load_explicit(&works, memory_order_relaxed);
	if (known == 0) {
		known = fcntl(fd, F_DUPFD_QUERY, fd) == 1 ? 1 : -1;
		/* relaxed: as above */
		atomic_store_explicit(&works, known, memory_order_relaxed);
	}
	return known > 0;
}

bool description_same(int a, int b)
{
	if (query_works(a)) {
		return fcntl(a, F_DUPFD_QUERY, b) == 1;
	}
	pid_t self = getpid();
	return syscall(SYS_kcmp, self, self, KCMP_FILE, a, b) == 0;
}

uint64_t description_eventfd_id(int fd)
{
	static const char key[] = "eventfd-id:";
	char path[48], text[512];
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	kernel_file_read(path, text, sizeof(text));
	const char *found = strstr(text, key);
	return found ? strtoull(found + strlen(key), NULL, 10) + 1 : 0;
}
