// SPDX-License-Identifier: MIT
/*
 * The socket that clients connect to: made here, or passed by the service manager. Refuses a path where
 * anybody listens, removes a socket where nobody does, and at the end the one that it made. Loop's thread only.
 */
#pragma once

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "daemon/base/wheel.h"

struct broker;

struct listener {
	struct broker *broker;
	int socket;
	int lock;    /* held while the path is ours; -1: a passed socket */
	int reserve; /* an fd to give up for an accept and close when none is free; -1: given up */
	struct event *event;
	struct wheel_timer starving; /* armed: no accepts until the reserve is back */
	char *path;                  /* removed at the end; NULL: a passed socket */
	dev_t device;                /* of what was made there */
	ino_t inode;
};

/* Ignores `path` when the service manager passed a socket. On failure `error` has a sentence that says
 * what to do. */
int listener_open(struct listener *listener, const char *path, bool user_mode, char *error,
		  size_t error_size);
int listener_start(struct listener *listener, struct broker *broker);
void listener_close(struct listener *listener);
