// SPDX-License-Identifier: MIT
/*
 * The socket clients connect to: made here, or passed by the service manager. Refuses to take one
 * that another daemon serves; clears away a stale one. Loop's thread only.
 */
#pragma once

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>

#include "daemon/base/wheel.h"

struct broker;

struct listener {
	struct broker *broker;
	int socket;
	int lock;    /* held while the path is ours; -1 when the service manager's */
	int reserve; /* given up for a moment to accept and close when no fd is free; -1: not back */
	struct event *event;
	struct wheel_timer starving; /* armed: nobody is accepted until the reserve is back */
	char *path;                  /* removed at the end; NULL when the service manager's */
};

/* `path` is not used when the service manager passed a socket. On failure `error` has a sentence
 * that says what to do. */
int listener_open(struct listener *listener, const char *path, bool user_mode, char *error,
		  size_t error_size);
int listener_start(struct listener *listener, struct broker *broker);
void listener_close(struct listener *listener);
