// SPDX-License-Identifier: MIT
/*
 * What a client sends. A client that does not read can make us keep one reply and a few fds, all
 * charged to its user; after that nothing more is taken from it, and in the end it goes.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "broker.h"
#include "clock.h"
#include "client.h"
#include "watch.h"

#define CLIENT_UNREAD_NS (5 * NS_PER_S)

static void reply_finish(struct client_reply *reply)
{
	for (size_t i = 0; i < reply->fd_count; i++) {
		close(reply->fds[i]); /* duplicates of our own objects: close can't block */
	}
	free(reply->bytes);
	charge_release(&reply->charge);
	*reply = (struct client_reply){ 0 };
}

static int reply_keep(struct client *client, const uint8_t *bytes, size_t size, const int *fds,
		      size_t fd_count)
{
	struct client_reply *reply = &client->reply;
	int r = charge_take(&reply->charge, client->user, ACCOUNT_QUEUED_BYTES, size);
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
 * The kernel counts fds that were sent and not received, for all of our clients together, and at our
 * limit of open files nobody gets any. So each client may have a few.
 */
bool client_outbox_open(struct client *client)
{
	int unread = 0;
	if (client->flight == 0) {
		return true;
	}
	if (ioctl(client->socket, SIOCOUTQ, &unread) == 0 && unread == 0) {
		client->flight = 0;
		client->unread_since_ns = 0;
		return true;
	}
	if (client->flight + CLIENT_REPLY_FDS <= CLIENT_FLIGHT_MAX) {
		return true;
	}
	uint64_t now = clock_now_ns();
	if (client->unread_since_ns == 0) {
		client->unread_since_ns = now;
	} else if (now - client->unread_since_ns > CLIENT_UNREAD_NS) {
		client_end(client, "it does not read its replies");
	}
	return false;
}

/* The peer's queue is full, or too many fds are on their way at this moment. */
static bool send_is_late(int r)
{
	return r == -EAGAIN || r == -ETOOMANYREFS;
}

static void client_send_later(struct client *client, int r)
{
	event_del(client->readable);
	if (r == -EAGAIN) {
		event_add(client->writable, NULL);
	} else {
		broker_arm(client->broker, &client->starving, clock_now_ns() + CLIENT_STARVING_NS);
	}
}

void client_send(struct client *client, const Fbk__Wire__Message *message, const int *fds,
		 size_t fd_count)
{
	static uint8_t bytes[WIRE_PACKET_MAX];
	if (client->closing) {
		return;
	}
	ssize_t size = wire_pack(&message->base, bytes);
	int r = size < 0 ? (int)size
			 : wire_send(client->socket, bytes, (size_t)size, fds, fd_count);
	if (r == 0) {
		client->flight += fd_count;
		return;
	}
	if (r == -EPIPE || r == -ECONNRESET) {
		return; /* its hang-up is on the way */
	}
	if (send_is_late(r)) {
		int late = r;
		r = reply_keep(client, bytes, (size_t)size, fds, fd_count);
		if (r == 0) {
			client_send_later(client, late);
		}
	}
	if (r < 0) {
		client_end(client, strerrordesc_np(-r));
	}
}

static int client_flush_reply(struct client *client)
{
	struct client_reply *reply = &client->reply;
	if (reply->size == 0) {
		return 0;
	}
	int r = wire_send(client->socket, reply->bytes, reply->size, reply->fds, reply->fd_count);
	if (send_is_late(r)) {
		return r;
	}
	client->flight += reply->fd_count;
	reply_finish(reply);
	if (!client->closing) {
		event_add(client->readable, NULL);
	}
	return 0;
}

void client_writable(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	struct client *client = arg;
	int r = client_flush_reply(client);
	if (r == 0 && client->hangup_after_reply) {
		client_end(client, NULL);
		return;
	}
	if (r == 0) {
		r = watch_flush(client);
	}
	if (r < 0 && !client->closing) {
		client_send_later(client, r);
	}
}

void client_notify(struct client *client)
{
	/* After the running callback, still in this turn: what fired together is told together. */
	event_active(client->writable, EV_WRITE, 0);
}

void client_tell_stopping(struct client *client, uint64_t within_ms)
{
	Fbk__Wire__Stopping stopping = FBK__WIRE__STOPPING__INIT;
	Fbk__Wire__Message message = FBK__WIRE__MESSAGE__INIT;
	if (!client->greeted || client->reply.size > 0) {
		return;
	}
	stopping.within_ms = within_ms;
	message.body_case = FBK__WIRE__MESSAGE__BODY_STOPPING;
	message.stopping = &stopping;
	client_send(client, &message, NULL, 0);
}

void client_refuse(struct client *client, int error)
{
	uint8_t bytes[512];
	char detail[FBK_REASON_SIZE];
	Fbk__Wire__Message message = FBK__WIRE__MESSAGE__INIT;
	client_explain(client, error, detail);
	message.serial = 1; /* the Hello that it sends, or sent */
	message.error = error;
	message.detail = detail;
	size_t size = fbk__wire__message__pack(&message, bytes);
	wire_send(client->socket, bytes, size, NULL, 0); /* it may be gone: so be it */
}

void client_outbox_finish(struct client *client)
{
	reply_finish(&client->reply);
}
