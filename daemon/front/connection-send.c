// SPDX-License-Identifier: MIT
/*
 * The sending half of a connection. A client that does not read can make the daemon keep one reply and a few fds, all
 * charged to its user. After that the daemon takes no more requests from it until it has read: it may be stopped, and
 * go on later.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "broker.h"
#include "connection.h"
#include "daemon/base/clock.h"
#include "daemon/core/watch.h"
#include "proto/wire.h"

#define WATCHES_PER_EVENT 256

static void reply_finish(struct connection_reply *reply)
{
	for (size_t i = 0; i < reply->fd_count; i++) {
		close(reply->fds[i]); /* duplicates of our own fds: close never blocks */
	}
	free(reply->bytes);
	charge_release(&reply->charge);
	*reply = (struct connection_reply){ 0 };
}

static int reply_keep(struct connection *connection, const uint8_t *bytes, size_t size,
		      const int *fds, size_t fd_count)
{
	struct connection_reply *reply = &connection->reply;
	int r = charge_take(&reply->charge, connection->client->user, ACCOUNT_QUEUED_BYTES, size);
	if (r < 0) {
		return r;
	}
	reply->bytes = malloc(size);
	if (!reply->bytes) {
		reply_finish(reply);
		return -ENOMEM;
	}
	memcpy(reply->bytes, bytes, size);
	reply->size = size;
	for (size_t i = 0; i < fd_count; i++) {
		int fd = fcntl(fds[i], F_DUPFD_CLOEXEC, 0);
		if (fd < 0) {
			int error = -errno;
			reply_finish(reply);
			return error;
		}
		reply->fds[reply->fd_count++] = fd;
	}
	return 0;
}

/*
 * The kernel counts fds that were sent and not received, for all clients of the daemon together. When the count
 * reaches the daemon's limit of open files, no client gets any. So each client may have a few.
 */
bool connection_outbox_open(struct connection *connection)
{
	int unread = 0;
	if (connection->flight == 0) {
		return true;
	}
	if (ioctl(connection->socket, SIOCOUTQ, &unread) == 0 && unread == 0) {
		connection->flight = 0;
		connection->unread_since_ns = 0;
		return true;
	}
	if (connection->flight + CONNECTION_REPLY_FDS <= CONNECTION_FLIGHT_MAX) {
		return true;
	}
	if (connection->unread_since_ns == 0) {
		connection->unread_since_ns = clock_now_ns();
	}
	return false;
}

/* The peer's queue is full, or too many fds are in flight at this moment. */
static bool send_is_late(int r)
{
	return r == -EAGAIN || r == -ETOOMANYREFS;
}

static void connection_send_later(struct connection *connection, int r)
{
	event_del(connection->readable);
	if (r == -EAGAIN) {
		event_add(connection->writable, NULL);
	} else {
		loop_arm(&connection->broker->registry.loop, &connection->starving,
			 clock_now_ns() + CONNECTION_STARVING_NS);
	}
}

void connection_send(struct connection *connection, const Fbk__Wire__Message *message,
		     const int *fds, size_t fd_count)
{
	static uint8_t bytes[WIRE_PACKET_MAX];
	if (connection->closing) {
		return;
	}
	ssize_t size = wire_pack(&message->base, bytes);
	int r = size < 0 ? (int)size
			 : wire_send(connection->socket, bytes, (size_t)size, fds, fd_count);
	if (r == 0) {
		connection->flight += fd_count;
		return;
	}
	if (r == -EPIPE || r == -ECONNRESET) {
		return; /* the event of its hang-up follows */
	}
	if (send_is_late(r)) {
		int late = r;
		r = reply_keep(connection, bytes, (size_t)size, fds, fd_count);
		if (r == 0) {
			connection_send_later(connection, late);
		}
	}
	if (r < 0) {
		connection_end(connection, FBK_CAUSE_OWNER_DIED, strerrordesc_np(-r));
	}
}

int late_answer_create(struct client *client, uint64_t serial, struct late_answer **ret_answer)
{
	struct late_answer *answer = calloc(1, sizeof(*answer));
	int r = answer ? charge_take(&answer->charge, client->user, ACCOUNT_QUEUED_BYTES,
				     sizeof(*answer))
		       : -ENOMEM;
	if (r < 0) {
		free(answer);
		return r;
	}
	answer->serial = serial;
	*ret_answer = answer;
	return 0;
}

void late_answer_destroy(struct late_answer *answer)
{
	charge_release(&answer->charge);
	free(answer);
}

static void connection_flush_late(struct connection *connection)
{
	struct late_answer *answer;
	while (connection->reply.size == 0 && (answer = STAILQ_FIRST(&connection->late))) {
		Fbk__Wire__Message message = FBK__WIRE__MESSAGE__INIT;
		message.serial = answer->serial;
		message.error = answer->error;
		message.detail = answer->detail;
		STAILQ_REMOVE_HEAD(&connection->late, links);
		connection_send(connection, &message, NULL, 0);
		late_answer_destroy(answer);
	}
}

void connection_send_late(struct connection *connection, struct late_answer *answer)
{
	STAILQ_INSERT_TAIL(&connection->late, answer, links);
	connection_flush_late(connection);
}

static int connection_flush_reply(struct connection *connection)
{
	struct connection_reply *reply = &connection->reply;
	if (reply->size == 0) {
		return 0;
	}
	int r = wire_send(connection->socket, reply->bytes, reply->size, reply->fds,
			  reply->fd_count);
	if (send_is_late(r)) {
		return r;
	}
	connection->flight += reply->fd_count;
	reply_finish(reply);
	if (!connection->closing) {
		event_add(connection->readable, NULL);
	}
	return 0;
}

/* Send the watches that fired. -EAGAIN: the socket is full. */
static int connection_tell_watches(struct connection *connection)
{
	uint64_t numbers[WATCHES_PER_EVENT];
	int32_t results[WATCHES_PER_EVENT];
	struct client *client = connection->client;
	while (!TAILQ_EMPTY(&client->fired)) {
		if (connection->reply.size > 0 || connection->closing) {
			return -EAGAIN;
		}
		size_t count = watch_take_fired(client, numbers, results, WATCHES_PER_EVENT);
		Fbk__Wire__WatchesFired fired = FBK__WIRE__WATCHES_FIRED__INIT;
		fired.n_watch = count;
		fired.watch = numbers;
		fired.n_result = count;
		fired.result = results;
		Fbk__Wire__Message message = FBK__WIRE__MESSAGE__INIT;
		message.body_case = FBK__WIRE__MESSAGE__BODY_WATCHES_FIRED;
		message.watches_fired = &fired;
		client->registry->counters.watches_fired += count;
		connection_send(connection, &message, NULL, 0);
	}
	return 0;
}

/* A client that did not say Hello was told of none. */
static int connection_tell_features(struct connection *connection)
{
	struct client *client = connection->client;
	uint64_t features = client->registry->features;
	if (!client->said_hello || client->features == features) {
		return 0;
	}
	if (connection->reply.size > 0 || connection->closing) {
		return -EAGAIN;
	}
	Fbk__Wire__Features event = FBK__WIRE__FEATURES__INIT;
	Fbk__Wire__Message message = FBK__WIRE__MESSAGE__INIT;
	event.features = features;
	message.body_case = FBK__WIRE__MESSAGE__BODY_FEATURES;
	message.features = &event;
	client->features = features;
	connection_send(connection, &message, NULL, 0);
	return 0;
}

void connection_writable(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	struct connection *connection = arg;
	int r = connection_flush_reply(connection);
	if (r == 0 && connection->hangup_after_reply) {
		connection_end(connection, connection->cause, NULL);
		return;
	}
	if (r == 0) {
		connection_flush_late(connection);
		r = connection_tell_features(connection);
	}
	if (r == 0) {
		r = connection_tell_watches(connection);
	}
	if (r < 0 && !connection->closing) {
		connection_send_later(connection, r);
	}
}

void connection_flush_soon(struct connection *connection)
{
	/* After the running callback, in the same turn: watches that fire together go in one message. */
	event_active(connection->writable, EV_WRITE, 0);
}

void connection_tell_stopping(struct connection *connection, uint64_t within_ms)
{
	Fbk__Wire__Stopping stopping = FBK__WIRE__STOPPING__INIT;
	Fbk__Wire__Message message = FBK__WIRE__MESSAGE__INIT;
	if (!connection->client->greeted || connection->reply.size > 0) {
		return;
	}
	stopping.within_ms = within_ms;
	message.body_case = FBK__WIRE__MESSAGE__BODY_STOPPING;
	message.stopping = &stopping;
	connection_send(connection, &message, NULL, 0);
}

void connection_refuse(int socket, int error, const char *detail)
{
	uint8_t bytes[512];
	Fbk__Wire__Message message = FBK__WIRE__MESSAGE__INIT;
	message.serial = 1; /* that of its Hello, which may still come */
	message.error = error;
	message.detail = (char *)(uintptr_t)detail;
	size_t size = fbk__wire__message__pack(&message, bytes);
	wire_send(socket, bytes, size, NULL, 0); /* an error means that the peer is gone: ignored */
}

void connection_outbox_finish(struct connection *connection)
{
	struct late_answer *answer;
	reply_finish(&connection->reply);
	while ((answer = STAILQ_FIRST(&connection->late))) {
		STAILQ_REMOVE_HEAD(&connection->late, links);
		late_answer_destroy(answer);
	}
}
