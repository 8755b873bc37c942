// SPDX-License-Identifier: MIT
/* A packet of the same size on a socketpair: nobody waits for it. It is read outside of what is measured. */
#include "raw.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host.h"

struct raw_stalled {
	int sockets[2];
};

static void stalled_close(void *state)
{
	struct raw_stalled *stalled = state;
	close(stalled->sockets[0]);
	close(stalled->sockets[1]);
	free(stalled);
}

static int stalled_open(const struct row *row, void **ret_state)
{
	struct raw_stalled *stalled = calloc(1, sizeof(*stalled));
	(void)row;
	if (!stalled) {
		return bench_fail("no memory");
	}
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, stalled->sockets) < 0) {
		free(stalled);
		return bench_fail("socketpair: %s", strerror(errno));
	}
	*ret_state = stalled;
	return 0;
}

static int stalled_round(void *state, unsigned int count, struct samples *samples)
{
	const struct raw_stalled *stalled = state;
	char bytes[QUIET_SIZE] = { 0 };
	int r = 0;
	for (unsigned int i = 0; r == 0 && i < count; i++) {
		uint64_t start = host_now();
		ssize_t size = send(stalled->sockets[0], bytes, sizeof(bytes), MSG_NOSIGNAL);
		uint64_t end = host_now();
		if (size != sizeof(bytes) ||
		    recv(stalled->sockets[1], bytes, sizeof(bytes), 0) != size) {
			return bench_fail("a packet: %s", strerror(errno));
		}
		r = samples_add(samples, (double)(end - start));
	}
	return r;
}

const struct side raw_stalled = { "send of as many bytes", stalled_open, stalled_round,
				  stalled_close };
