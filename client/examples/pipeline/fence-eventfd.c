// SPDX-License-Identifier: MIT
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "fence.h"

/* The maker has no state. A fence's object is the device's end of its eventfd, plus one. */
static int maker_open(struct fence_maker **ret_maker, char *error, size_t error_size)
{
	(void)error;
	(void)error_size;
	*ret_maker = NULL;
	return 0;
}

static int fence_create(struct fence_maker *maker, struct fence *ret_fence, int *ret_fd)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	int device_end = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (device_end < 0) {
		int r = -errno;
		if (fd >= 0) {
			close(fd);
		}
		return r;
	}
	*ret_fence = (struct fence){ .maker = maker, .object = (void *)((intptr_t)device_end + 1) };
	*ret_fd = fd;
	return 0;
}

static int device_end_of(const struct fence *fence)
{
	return (int)(intptr_t)fence->object - 1;
}

static void fence_signal(struct fence *fence)
{
	eventfd_write(device_end_of(fence), 1);
}

static void fence_finish(struct fence *fence)
{
	if (fence->object) {
		close(device_end_of(fence));
		*fence = (struct fence){ 0 };
	}
}

static void maker_close(struct fence_maker *maker)
{
	(void)maker;
}

const struct fence_kind fence_eventfd = {
	.name = "eventfd",
	.open = maker_open,
	.create = fence_create,
	.signal = fence_signal,
	.finish = fence_finish,
	.close = maker_close,
};
