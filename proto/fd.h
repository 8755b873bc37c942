// SPDX-License-Identifier: MIT
/*
 * File descriptors without cancellation points (pthreads(7)): libc's functions of these names end a thread that was
 * cancelled, with whatever lock it holds. syscall(2) does not. No function of the library is a cancellation point.
 */
#pragma once

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* Around what is a cancellation point all the same, and around the program's functions: a thread that is cancelled there ends
 * once it is back in its program. */
static inline int cancelling_hold(void)
{
	int before;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
	return before;
}

static inline void cancelling_resume(int before)
{
	pthread_setcancelstate(before, NULL);
}

static inline void fd_close(int fd)
{
#ifdef __SANITIZE_THREAD__
	/* It has to see this: else who gets the number next seems to race with who had it. */
	int before = cancelling_hold();
	close(fd);
	cancelling_resume(before);
#else
	syscall(SYS_close, fd);
#endif
}

static inline int fd_open(const char *path, int flags)
{
	return (int)syscall(SYS_openat, AT_FDCWD, path, flags, 0);
}

static inline int fd_poll(struct pollfd *entries, nfds_t count, int timeout_ms)
{
	struct timespec timeout = { timeout_ms / 1000, timeout_ms % 1000 * 1000000L };
	return (int)syscall(SYS_ppoll, entries, count, timeout_ms < 0 ? NULL : &timeout, NULL, 0);
}

static inline int fd_connect(int fd, const struct sockaddr *address, socklen_t size)
{
	return (int)syscall(SYS_connect, fd, address, size);
}

/* Of an eventfd of ours: its end never blocks. */
static inline void event_raise(int fd)
{
	const uint64_t one = 1;
	syscall(SYS_write, fd, &one, sizeof(one));
}

static inline void event_clear(int fd)
{
	uint64_t value;
	syscall(SYS_read, fd, &value, sizeof(value));
}
