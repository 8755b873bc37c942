// SPDX-License-Identifier: MIT
/*
 * A connection: how a client speaks. A socket with our protocol on it, its events, and what waits to be sent. It
 * makes the client from credentials that it is given, and ends it: when the socket hangs up or the process exits,
 * whichever comes first, when the client says goodbye, or when it sends what no client of ours would.
 * Loop's thread only.
 */
#pragma once

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>

#include "daemon/core/client.h"
#include "proto/fencebroker.pb-c.h"

struct broker;

#define CONNECTION_REPLY_FDS   2
#define CONNECTION_FLIGHT_MAX  8 /* fds that may lie in its socket, unread */
#define CONNECTION_STARVING_NS (20 * NS_PER_MS)

/* The one reply that did not fit into the socket. While there is one, nothing more is read. */
struct connection_reply {
	size_t size; /* 0: none */
	uint8_t *bytes;
	int fds[CONNECTION_REPLY_FDS];
	size_t fd_count;
	struct charge charge;
};

struct connection {
	LIST_ENTRY(connection) links; /* of the broker: connections, or dying */
	struct broker *broker;
	struct client *client;
	int socket;
	struct event *readable, *writable, *exited;
	struct connection_reply reply;
	size_t flight;               /* fds sent since it had read all */
	uint64_t unread_since_ns;    /* nothing is taken from it for that reason; 0: it is */
	struct wheel_timer greeting; /* until Hello */
	struct wheel_timer starving; /* held back for a moment: try again */
	struct charge fd_charge;
	bool hangup_after_reply;
	bool closing;         /* on `dying` */
	enum fbk_cause cause; /* of its end */
};

/* Who is at the other end of a socket; `ret_credentials` has an open pidfd then. */
int connection_credentials(int socket, struct credentials *ret_credentials);

/* Takes the socket and credentials->pidfd, also when it fails: then the peer has been told why. */
int connection_create(struct broker *broker, int socket, const struct credentials *credentials);

/* End it, and its client with that cause: it moves to `dying` and is freed when the running callbacks have
 * returned. `why` is logged when not NULL. */
void connection_end(struct connection *connection, enum fbk_cause cause, const char *why);
void connection_destroy(struct connection *connection);

/* connection-send.c. Send a message with fds, which stay the caller's. */
void connection_send(struct connection *connection, const Fbk__Wire__Message *message,
		     const int *fds, size_t fd_count);

/* Nothing that was sent keeps us from answering more: false when it has not read its replies. */
bool connection_outbox_open(struct connection *connection);
void connection_outbox_finish(struct connection *connection);
void connection_writable(evutil_socket_t fd, short what, void *arg);

/* Call connection_writable() after the running callback. */
void connection_flush_soon(struct connection *connection);

/* Say why a connection can't be had. */
void connection_refuse(int socket, int error, const char *detail);

/* The daemon stops within that time. Not told where replies wait to be read: it will hang up. */
void connection_tell_stopping(struct connection *connection, uint64_t within_ms);
