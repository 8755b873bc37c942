// SPDX-License-Identifier: MIT
/*
 * Closes fds that strangers made. close() of such an fd can block for as long as its maker likes
 * (a socket with SO_LINGER, a file on a stuck FUSE server), and the loop must not. A helper process
 * that shares the fd table, and nothing else but a ring, closes them in order; a helper that has hung
 * in one of them for a second is killed, abandoned if it can't be, and replaced. The alarm for that is
 * wound and stopped by the helper, so that an idle loop is not woken. Loop's thread only.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct closer_ring;

struct closer {
	struct closer_ring *ring; /* shared with the helper */
	uint32_t mask;            /* of its positions; it holds more fds than can be open */
	pid_t pid;                /* -1: none */
	int alarm;                /* a timerfd: readable when one call has taken a second */
	unsigned int replaced;    /* helpers that hung */
};

/* `fd_limit`: that many fds can be open. */
int closer_init(struct closer *closer, uint64_t fd_limit);
void closer_finish(struct closer *closer);

/* The alarm is readable, or a child ended (SIGCHLD): see to the helper. */
void closer_tend(struct closer *closer);

/* Close `fd`, a little later. Never blocks. Takes -1. */
void closer_close(struct closer *closer, int fd);
void closer_close_all(struct closer *closer, const int *fds, size_t count);

/* How many are not closed yet. */
unsigned int closer_pending(const struct closer *closer);
