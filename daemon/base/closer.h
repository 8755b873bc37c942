// SPDX-License-Identifier: MIT
/*
 * Closes fds that strangers made. close() of such an fd can block for as long as its maker likes
 * (a socket with SO_LINGER, a file on a stuck FUSE server), and the loop must not block. A helper process
 * closes them in order; it shares the fd table and a ring with the daemon, and nothing else. A helper that
 * has hung in one close for a second is killed and replaced; one that does not die is abandoned. The helper
 * winds and stops the alarm for that, so that an idle loop is not woken. Loop's thread only.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct closer_ring;

struct closer {
	struct closer_ring *ring; /* shared with the helper */
	uint32_t mask;            /* of its positions; the ring holds more fds than can be open */
	pid_t pid;                /* -1: none */
	int alarm;                /* a timerfd: readable when one call has taken a second */
	unsigned int replaced;    /* helpers that hung */
	uint64_t quiet_until_ns;  /* of its lines in the log */
};

/* `fd_limit`: that many fds can be open. */
int closer_init(struct closer *closer, uint64_t fd_limit);
void closer_finish(struct closer *closer);

/* Call it when the alarm is readable or a child ended (SIGCHLD): replaces a helper that hangs or died. */
void closer_tend(struct closer *closer);

/* Close `fd`, a little later. Never blocks. Takes -1. */
void closer_close(struct closer *closer, int fd);
void closer_close_all(struct closer *closer, const int *fds, size_t count);

/* How many fds are queued and not closed yet. */
unsigned int closer_pending(const struct closer *closer);
