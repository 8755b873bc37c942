// SPDX-License-Identifier: MIT
/*
 * What stands between the bus's socket and sd-bus: it reads the stream message by message, and keeps every fd that
 * a message carries. sd-bus closes the fds of a message in the caller's thread, and closing a stranger's fd can block
 * (rule R4); so sd-bus gets a placeholder for each, and a handler asks the gate for the real one. A message that is
 * too large, or carries too many fds, passes without its body, with a refusal for its answer. Embedded; loop's thread
 * only.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BUS_MESSAGE_MAX 65536
#define BUS_FDS_MAX     16  /* in a message; what the system bus of dbus-daemon allows */
#define BUS_FDS_ROOM    253 /* SCM_MAX_FD */
#define BUS_NAME_SIZE   256 /* of a name on the bus, with its NUL */

enum bus_message_type {
	BUS_MESSAGE_TEXT, /* a line of the authentication */
	BUS_MESSAGE_CALL,
	BUS_MESSAGE_OTHER,
};

/* A message on its way to sd-bus. */
struct bus_message {
	enum bus_message_type type;
	const uint8_t *bytes;
	size_t size;
	char sender[BUS_NAME_SIZE]; /* "" for none */
	uint32_t placeholders;      /* how many fds it says that it has */
	int *fds;                   /* those that came */
	size_t fd_count;
	const char *refusal; /* NULL, or what its sender is told */
};

struct bus_gate {
	uint8_t *buffer;
	size_t have;  /* bytes of the message that are in the buffer */
	size_t total; /* that it has in all; 0 while that is unknown */
	size_t kept;  /* that the buffer takes: `total`, or less of one that is too large */
	bool text;    /* the authentication is not over */
	int fds[BUS_FDS_ROOM];
	size_t fd_count;
	bool fds_lost; /* more came than there was room for */
	int placeholders[BUS_FDS_MAX];
	uint64_t inodes[BUS_FDS_MAX];
	const struct bus_message *current; /* what sd-bus handles at the moment */
};

int bus_gate_init(struct bus_gate *gate);
void bus_gate_finish(struct bus_gate *gate); /* takes one that is all zero */

/* A new connection. The caller disposes of fds left from the last. */
void bus_gate_reset(struct bus_gate *gate);

/* Read on. 1 with a whole message, valid until the next call; the caller disposes of its fds. -EAGAIN: nothing there.
 * -EBADMSG: that is no bus. Else the socket is broken, or (-ECONNRESET) ended. */
int bus_gate_read(struct bus_gate *gate, int socket, struct bus_message *ret_message);

/* Pass the message on to the socket that sd-bus reads, with placeholders in place of its fds. 0, or a negative
 * errno. */
int bus_gate_pass(struct bus_gate *gate, int feed, const struct bus_message *message);

/* The real fd behind a placeholder of the current message: where it is kept, so that the taker can set it to -1. NULL
 * if it is none. */
int *bus_gate_fd(const struct bus_gate *gate, int placeholder);
