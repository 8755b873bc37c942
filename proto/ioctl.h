// SPDX-License-Identifier: MIT
/* As ioctl(2), but a signal that comes meanwhile does not end it. */
#pragma once

#include <errno.h>
#include <sys/ioctl.h>

static inline int ioctl_again(int fd, unsigned long request, void *argument)
{
	int r;
	do {
		r = ioctl(fd, request, argument);
	} while (r < 0 && errno == EINTR);
	return r;
}
