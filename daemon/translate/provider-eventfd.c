// SPDX-License-Identifier: MIT
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "client/include/fencebroker.h"
#include "provider.h"
#include "translator.h"

static int eventfd_probe(struct translator *translator, char *why)
{
	if (translator->aio.source < 0) {
		snprintf(why, FBK_REASON_SIZE,
			 "the daemon has no AIO context (io_setup): raise fs.aio-max-nr, or "
			 "use a kernel with CONFIG_AIO, or a sandbox that allows it");
		return -ENOSYS;
	}
	return 0;
}

static int eventfd_create(struct translator *translator, int *ret_fd, union provided *ret_provided)
{
	(void)translator;
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	int out = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (out < 0) {
		int error = -errno;
		if (fd >= 0) {
			close(fd);
		}
		return error;
	}
	ret_provided->fd = fd;
	*ret_fd = out;
	return 0;
}

/* An eventfd carries no result: the process that it wakes asks the library. */
static int eventfd_fire(struct translator *translator, union provided *provided, uint64_t point,
			int result)
{
	(void)point;
	(void)result;
	return aio_raise(&translator->aio, provided->fd);
}

static void eventfd_destroy(struct translator *translator, union provided *provided)
{
	(void)translator;
	close(provided->fd); /* our own eventfd: close never blocks */
}

const struct provider provider_eventfd = {
	.name = "eventfd",
	.kind = FBK_FENCE_EVENTFD,
	.fds = 2,
	.keeps_fd = true,
	.probe = eventfd_probe,
	.create = eventfd_create,
	.fire = eventfd_fire,
	.destroy = eventfd_destroy,
};
