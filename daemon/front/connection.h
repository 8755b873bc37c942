// SPDX-License-Identifier: MIT
/*
 * A connection: how a client speaks. It has a socket that carries our protocol, the socket's events, and the unsent
 * reply. It creates the client from the credentials of the peer. It ends the client when the socket hangs up or the
 * process exits, whichever comes first; on Goodbye; and after a malformed packet. Loop's thread only.
 */
#pragma once

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>

#include "daemon/core/client.h"
#include "proto/fencebroker.pb-c.h"

struct broker;

#define CONNECTION_REPLY_FDS       4
#define CONNECTION_FLIGHT_MAX      10 /* fds that may be unread in its socket */
#define CONNECTION_STARVING_NS     (20 * NS_PER_MS)
#define CONNECTION_STARVING_MAX_NS (500 * NS_PER_MS)
#define LATE_DETAIL_SIZE           512

/* The reply that did not fit into the socket. While there is one, the connection reads no requests. */
struct connection_reply {
	size_t size; /* 0: none */
	uint8_t *bytes;
	int fds[CONNECTION_REPLY_FDS];
	size_t fd_count;
	struct charge charge;
};

/* An answer that comes after its handler has returned. Made with room for its text, and charged, by the handler. */
struct late_answer {
	STAILQ_ENTRY(late_answer) links;
	uint64_t serial;
	int error;
	char detail[LATE_DETAIL_SIZE];
	struct charge charge;
};

struct connection {
	LIST_ENTRY(connection) links; /* of the broker: connections, or dying */
	struct broker *broker;
	struct client *client;
	int socket;
	struct event *readable, *writable, *exited;
	struct connection_reply reply;
	STAILQ_HEAD(, late_answer) late; /* not sent yet, since there is a kept reply */
	size_t flight;                   /* fds sent since the peer had last read everything */
	uint64_t unread_since_ns;    /* since when unread fds stop its requests; 0: they do not */
	struct wheel_timer greeting; /* bounds the time until Hello */
	struct wheel_timer starving; /* paused for a moment: try again then */
	struct charge fd_charge;
	char *registrar; /* over the bus: the unique name that registered its device; else NULL */
	bool anonymous;  /* over the bus: its process is known once it speaks */
	bool hangup_after_reply;
	bool closing;         /* on `dying` */
	enum fbk_cause cause; /* that its client ends with, also after the hang-up */
};

/* Root administers the system's daemon, and each user its own. */
bool connection_may_administer(const struct broker *broker, uid_t uid);

/* Does the address of its peer say that it only inspects and administers? */
bool connection_socket_inspects(int socket);

/* The credentials of the peer of a socket, with an open pidfd. */
int connection_credentials(int socket, struct credentials *ret_credentials);

/* Takes credentials->pidfd, also when it fails; the socket only when it succeeds. `detail`, of FBK_REASON_SIZE bytes,
 * says why it failed. */
int connection_create(struct broker *broker, int socket, const struct credentials *credentials,
		      struct connection **ret_connection, char *detail);

/*
 * The same for one end of a socketpair, whose other end the program at the bus gets that has this unique name. The
 * credentials are those that the bus has: they decide what it may. Its process is that of its first packet, whose
 * user must be the same, and whose end ends the connection; until then only the hang-up does. It need not say Hello.
 */
int connection_create_for_bus(struct broker *broker, int socket,
			      const struct credentials *credentials, const char *registrar,
			      struct connection **ret_connection, char *detail);

/* End the connection, and its client with that cause. The connection moves to `dying`, and is freed when the running
 * callbacks have returned. `why` is logged when not NULL. */
void connection_end(struct connection *connection, enum fbk_cause cause, const char *why);
void connection_destroy(struct connection *connection);

/* The reserve is used up, perhaps by programs that were stopped: the oldest connection in it ends at once. False: none is there.
 * Not from a callback of a connection. */
bool connection_displace(struct broker *broker);

/* End it if its process has exited, which the loop would report next. */
void connection_look_exit(struct connection *connection);

/* connection-send.c, from here on. Send a message with fds, which stay the caller's. */
void connection_send(struct connection *connection, const Fbk__Wire__Message *message,
		     const int *fds, size_t fd_count);

/* Takes the answer. Sends it after a reply that is kept. */
int late_answer_create(struct client *client, uint64_t serial, struct late_answer **ret_answer);
void late_answer_destroy(struct late_answer *answer);
void connection_send_late(struct connection *connection, struct late_answer *answer);

/* May another request be answered? False while the peer leaves too many fds unread. */
bool connection_outbox_open(struct connection *connection);
void connection_outbox_finish(struct connection *connection);
void connection_writable(evutil_socket_t fd, short what, void *arg);

/* Call connection_writable() after the running callback. */
void connection_flush_soon(struct connection *connection);

/* Send the error with which a connection is refused. */
void connection_refuse(int socket, int error, const char *detail);

/* Notify the client that the daemon stops within that time. Skipped where a reply is still unsent: the hang-up
 * follows. */
void connection_tell_stopping(struct connection *connection, uint64_t within_ms);
