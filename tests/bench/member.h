// SPDX-License-Identifier: MIT
/*
 * Members: the other processes of a row. Each is forked, placed on a CPU, and talks to the leader in
 * notes (a number, perhaps with an fd) over a socket; between rounds it sleeps in there. It ends
 * with the leader, or when it is stopped.
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

/* What it runs; what that returns is its exit status. */
typedef int member_fn(int socket, void *arg);

/* As `uid` if that is not 0. */
int member_start(struct member *member, enum place place, uid_t uid, member_fn *fn, void *arg);
void member_stop(struct member *member); /* also one that was never started */

/* fd -1: none. Of both sides. A note that does not come in time, or from nobody, is a failure. */
int note_send(int socket, uint64_t number, int fd);
int note_receive(int socket, uint64_t *ret_number, int *ret_fd);
int note_await(int socket, uint64_t *ret_number); /* for ever: for members, between rounds */
