// SPDX-License-Identifier: MIT
#include "spare.h"

#include <sys/eventfd.h>
#include <unistd.h>

void spare_init(struct spare *spare)
{
	for (int i = 0; i < SPARE_FDS; i++) {
		spare->fds[i] = -1;
	}
}

void spare_fill(struct spare *spare)
{
	for (int i = 0; i < SPARE_FDS; i++) {
		if (spare->fds[i] < 0) {
			spare->fds[i] = eventfd(0, EFD_CLOEXEC);
		}
		if (spare->fds[i] < 0) {
			return; /* there are none now: tried again when the next is taken back */
		}
	}
}

void spare_lend(struct spare *spare)
{
	for (int i = 0; i < SPARE_FDS; i++) {
		if (spare->fds[i] >= 0) {
			close(spare->fds[i]); /* our own: never blocks */
		}
		spare->fds[i] = -1;
	}
}
