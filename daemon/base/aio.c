// SPDX-License-Identifier: MIT
#include "aio.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define AIO_RING 128

int aio_init(struct aio *aio)
{
	*aio = (struct aio){ .source = -1 };
	int source = memfd_create("fencebroker-aio", MFD_CLOEXEC);
	if (source < 0) {
		return -errno;
	}
	aio_context_t context = 0;
	if (ftruncate(source, 1) < 0 || syscall(SYS_io_setup, AIO_RING, &context) < 0) {
		int error = -errno;
		close(source);
		return error;
	}
	aio->source = source;
	aio->context = context;
	return 0;
}

void aio_finish(struct aio *aio)
{
	if (aio->source >= 0) {
		syscall(SYS_io_destroy, aio->context);
		close(aio->source);
		aio->source = -1;
	}
}

/* Empty the ring: a read of our own memory is complete when io_submit returns. */
static void aio_reap(struct aio *aio)
{
	struct io_event events[AIO_RING];
	struct timespec none = { 0, 0 };
	long count = syscall(SYS_io_getevents, aio->context, 0L, (long)AIO_RING, events, &none);
	if (count > 0) {
		aio->in_flight -= (unsigned int)count;
	}
}

int aio_raise(struct aio *aio, int eventfd)
{
	uint8_t byte;
	struct iocb block = {
		.aio_lio_opcode = IOCB_CMD_PREAD,
		.aio_fildes = (uint32_t)aio->source,
		.aio_buf = (uint64_t)(uintptr_t)&byte,
		.aio_nbytes = sizeof(byte),
		.aio_flags = IOCB_FLAG_RESFD,
		.aio_resfd = (uint32_t)eventfd,
	};
	struct iocb *blocks[] = { &block };
	if (aio->source < 0) {
		return -ENOSYS;
	}
	if (aio->in_flight >= AIO_RING / 2) {
		aio_reap(aio);
	}
	long done = syscall(SYS_io_submit, aio->context, 1L, blocks);
	if (done < 0 && errno == EAGAIN) {
		aio_reap(aio);
		done = syscall(SYS_io_submit, aio->context, 1L, blocks);
	}
	if (done != 1) {
		return done < 0 ? -errno : -EIO;
	}
	aio->in_flight++;
	return 0;
}
