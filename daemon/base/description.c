// SPDX-License-Identifier: MIT
#include "description.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef F_DUPFD_QUERY
#define F_DUPFD_QUERY (1024 + 3)
#endif

int description_order(int a, int b)
{
	pid_t self = getpid();
	long order = syscall(SYS_kcmp, self, self, KCMP_FILE, a, b);
	return order < 0 ? -errno : (int)order;
}

bool description_same(int a, int b)
{
	int order = description_order(a, b);
	if (order >= 0) {
		return order == 0;
	}
	/* a kernel built without kcmp: Linux 6.10 and later answer by fcntl */
	return fcntl(a, F_DUPFD_QUERY, b) == 1;
}
