// SPDX-License-Identifier: MIT
/*
 * Members: the other processes of a row. Each is forked and pinned to a CPU. It exchanges notes (a
 * number, and an optional fd) with the leader over a socket, and sleeps in recvmsg() between rounds. It
 * is killed by member_stop(), or by the kernel when the leader ends.
 */
#pragma once

#include <stdint.h>
#include <sys/types.h>

#include "host.h"

#define NOTE_PATIENCE_MS 60000

struct member {
	pid_t pid; /* 0: none */
	int socket;
};

/* The body of a member. It exits with failure when this returns a negative errno. */
typedef int member_fn(int socket, void *arg);

/* Runs as `uid`, or as the caller's user when that is 0. */
int member_start(struct member *member, enum place place, uid_t uid, member_fn *fn, void *arg);
void member_stop(struct member *member); /* no-op for one that was not started */

/* fd -1: none. The leader and members use the same calls. No note within NOTE_PATIENCE_MS is a failure,
 * and so is a peer that ended. */
int note_send(int socket, uint64_t number, int fd);
int note_receive(int socket, uint64_t *ret_number, int *ret_fd);
int note_await(int socket, uint64_t *ret_number); /* no timeout: for members between rounds */
