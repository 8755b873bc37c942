// SPDX-License-Identifier: MIT
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>

#include "broker.h"
#include "client/include/fencebroker.h"
#include "provider.h"

static int eventfd_probe(struct broker *broker, char *why)
{
	if (broker->aio.source < 0) {
		snprintf(why, FBK_REASON_SIZE,
			 "this kernel gives no AIO context: raise fs.aio-max-nr, or enable "
			 "CONFIG_AIO");
		return -ENOSYS;
	}
	return 0;
}

static int eventfd_create(struct broker *broker, int *ret_fd)
{
	(void)broker;
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (fd < 0) {
		return -errno;
	}
	*ret_fd = fd;
	return 0;
}

/* An eventfd can't say what happened: whoever it wakes asks the library. */
static int eventfd_fire(struct broker *broker, int fd, int result)
{
	(void)result;
	return aio_raise(&broker->aio, fd);
}

const struct provider provider_eventfd = {
	.name = "eventfd",
	.kind = FBK_EVENTFD,
	.probe = eventfd_probe,
	.create = eventfd_create,
	.fire = eventfd_fire,
};
