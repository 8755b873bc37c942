// SPDX-License-Identifier: MIT
/*
 * What a session sends. A client that does not read can make us keep one reply and a few fds, all
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
#include "session.h"
#include "watch.h"

#define SESSION_UNREAD_NS (5 * NS_PER_S)

static void reply_finish(struct session_reply *reply)
{
	for (size_t i = 0; i < reply->fd_count; i++) {
		close(reply->fds[i]); /* duplicates of our own objects: close can't block */
	}
	free(reply->bytes);
	charge_release(&reply->charge);
	*reply = (struct session_reply){ 0 };
}

static int reply_keep(struct session *session, const uint8_t *bytes, size_t size, const int *fds,
		      size_t fd_count)
{
	struct session_reply *reply = &session->reply;
	int r = charge_take(&reply->charge, session->user, ACCOUNT_QUEUED_BYTES, size);
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
bool session_outbox_open(struct session *session)
{
	int unread = 0;
	if (session->flight == 0) {
		return true;
	}
	if (ioctl(session->socket, SIOCOUTQ, &unread) == 0 && unread == 0) {
		session->flight = 0;
		session->unread_since_ns = 0;
		return true;
	}
	if (session->flight + SESSION_REPLY_FDS <= SESSION_FLIGHT_MAX) {
		return true;
	}
	uint64_t now = clock_now_ns();
	if (session->unread_since_ns == 0) {
		session->unread_since_ns = now;
	} else if (now - session->unread_since_ns > SESSION_UNREAD_NS) {
		session_end(session, "it does not read its replies");
	}
	return false;
}

/* The peer's queue is full, or too many fds are on their way at this moment. */
static bool send_is_late(int r)
{
	return r == -EAGAIN || r == -ETOOMANYREFS;
}

static void session_send_later(struct session *session, int r)
{
	event_del(session->readable);
	if (r == -EAGAIN) {
		event_add(session->writable, NULL);
	} else {
		broker_arm(session->broker, &session->starving,
			   clock_now_ns() + SESSION_STARVING_NS);
	}
}

void session_send(struct session *session, const Fbk__Wire__Message *message, const int *fds,
		  size_t fd_count)
{
	static uint8_t bytes[WIRE_PACKET_MAX];
	if (session->closing) {
		return;
	}
	ssize_t size = wire_pack(&message->base, bytes);
	int r = size < 0 ? (int)size
			 : wire_send(session->socket, bytes, (size_t)size, fds, fd_count);
	if (r == 0) {
		session->flight += fd_count;
		return;
	}
	if (r == -EPIPE || r == -ECONNRESET) {
		return; /* its hang-up is on the way */
	}
	if (send_is_late(r)) {
		int late = r;
		r = reply_keep(session, bytes, (size_t)size, fds, fd_count);
		if (r == 0) {
			session_send_later(session, late);
		}
	}
	if (r < 0) {
		session_end(session, strerrordesc_np(-r));
	}
}

static int session_flush_reply(struct session *session)
{
	struct session_reply *reply = &session->reply;
	if (reply->size == 0) {
		return 0;
	}
	int r = wire_send(session->socket, reply->bytes, reply->size, reply->fds, reply->fd_count);
	if (send_is_late(r)) {
		return r;
	}
	session->flight += reply->fd_count;
	reply_finish(reply);
	if (!session->closing) {
		event_add(session->readable, NULL);
	}
	return 0;
}

void session_writable(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	struct session *session = arg;
	int r = session_flush_reply(session);
	if (r == 0 && session->hangup_after_reply) {
		session_end(session, NULL);
		return;
	}
	if (r == 0) {
		r = watch_flush(session);
	}
	if (r < 0 && !session->closing) {
		session_send_later(session, r);
	}
}

void session_notify(struct session *session)
{
	/* After the running callback, still in this turn: what fired together is told together. */
	event_active(session->writable, EV_WRITE, 0);
}

void session_tell_stopping(struct session *session, uint64_t within_ms)
{
	Fbk__Wire__Stopping stopping = FBK__WIRE__STOPPING__INIT;
	Fbk__Wire__Message message = FBK__WIRE__MESSAGE__INIT;
	if (!session->greeted || session->reply.size > 0) {
		return;
	}
	stopping.within_ms = within_ms;
	message.body_case = FBK__WIRE__MESSAGE__BODY_STOPPING;
	message.stopping = &stopping;
	session_send(session, &message, NULL, 0);
}

void session_refuse(struct session *session, int error)
{
	uint8_t bytes[512];
	char detail[FBK_REASON_SIZE];
	Fbk__Wire__Message message = FBK__WIRE__MESSAGE__INIT;
	session_explain(session, error, detail);
	message.serial = 1; /* the Hello that it sends, or sent */
	message.error = error;
	message.detail = detail;
	size_t size = fbk__wire__message__pack(&message, bytes);
	wire_send(session->socket, bytes, size, NULL, 0); /* it may be gone: so be it */
}

void session_outbox_finish(struct session *session)
{
	reply_finish(&session->reply);
}
