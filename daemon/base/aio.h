// SPDX-License-Identifier: MIT
/*
 * Raises eventfds whose description a client shares, and never blocks. A write() would block once the
 * client has filled the counter and cleared O_NONBLOCK. Kernel AIO completes a one-byte read of our own
 * memory and raises the eventfd itself (IOCB_FLAG_RESFD). Loop's thread only.
 */
#pragma once

#include <linux/aio_abi.h>
#include <stdint.h>

struct aio {
	aio_context_t context;
	int source;             /* a memfd of one byte */
	unsigned int in_flight; /* completions not reaped yet */
};

/* -ENOSYS, or -EAGAIN where fs.aio-max-nr is used up: then eventfds can't be exported. */
int aio_init(struct aio *aio);
void aio_finish(struct aio *aio);
int aio_raise(struct aio *aio, int eventfd);
