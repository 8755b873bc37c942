// SPDX-License-Identifier: MIT
#include "udmabuf.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/udmabuf.h>

#include "proto/ioctl.h"

int udmabuf_open(void)
{
	int fd = open("/dev/udmabuf", O_RDWR | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int udmabuf_create(int device, int memfd, uint64_t size)
{
	struct udmabuf_create create = {
		.memfd = (uint32_t)memfd,
		.flags = UDMABUF_FLAGS_CLOEXEC,
		.size = size,
	};
	int fd = ioctl_again(device, UDMABUF_CREATE, &create);
	return fd < 0 ? -errno : fd;
}
