// SPDX-License-Identifier: MIT
/*
 * Clients of the library for one test: contexts in this process and in forked ones, and the passing
 * of tokens between them. Every unexpected error fails the running test.
 */
#pragma once

#include "client/include/fencebroker.h"
#include "lib-daemon.h"

/* A deadline `ms` from now, as the library takes it. */
uint64_t deadline_ms(uint64_t ms);

struct fbk_context *peer_connect(const struct daemon *daemon);
struct fbk_device *peer_device(struct fbk_context *context, const char *name);

/* A timeline of a device of that name, with a set of its own. */
struct fbk_timeline *peer_timeline(struct fbk_device *device, const char *name, uint32_t flags);

/* `timeline`, opened by another context. */
struct fbk_timeline *peer_open(struct fbk_context *context, struct fbk_timeline *timeline,
			       uint32_t rights);

/* A process that serves one end of a socketpair: sends fds and words to the other. */
struct peer {
	pid_t pid;
	int socket;
};

/* Runs `fn(socket, arg)` in a forked process, which exits with what it returns. */
void peer_start(struct peer *peer, int (*fn)(int socket, void *arg), void *arg);
int peer_wait(struct peer *peer); /* as child_wait; closes the socket */

void send_word(int socket, uint64_t word, int fd);    /* fd -1: none */
int try_send_word(int socket, uint64_t word, int fd); /* does not block; 0 or a negative errno */
uint64_t receive_word(int socket, int *ret_fd);       /* ret_fd NULL: none comes */

int readable_within(int fd, int ms); /* 1 or 0 */

/* One turn of an event loop: waits until something is readable, and dispatches it. Returns how many
 * callbacks ran. */
int loop_turn(struct fbk_context *context);

/* Does this kernel's io_uring wait for futexes, so that watches can do without the daemon? */
bool kernel_naps(void);
