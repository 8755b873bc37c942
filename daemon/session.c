// SPDX-License-Identifier: MIT
#include "session.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <systemd/sd-login.h>
#include <unistd.h>

#include "broker.h"
#include "clock.h"
#include "device.h"
#include "dispatch.h"
#include "export.h"
#include "handle.h"
#include "log.h"
#include "proto/cells.h"
#include "proto/container.h"
#include "session-object.h"
#include "watch.h"

#define SESSION_REQUESTS_PER_TURN 16
#define SESSION_LAST_REQUESTS     256
#define SESSION_LOOKS_PER_TURN    256
#define SESSION_BELLS_IN_A_ROW    64
#define SESSION_GREETING_NS       (5 * NS_PER_S)

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

const char *session_label(const struct session *session)
{
	static char label[96];
	snprintf(label, sizeof(label), "%s (pid %d, uid %u)",
		 session->name[0] ? session->name : "a new client", session->pid,
		 session->subject.uid);
	return label;
}

void session_explain(const struct session *session, int error, char *text)
{
	const struct account_limit *limit = session->user ? user_refused(session->user) : NULL;
	if (error == -EDQUOT && limit) {
		snprintf(text, FBK_REASON_SIZE,
			 "a limit of uid %u is reached: %s (%s); release something, or raise it in "
			 "the "
			 "policy",
			 session->subject.uid, limit->key, limit->what);
	} else if (error == -ENODEV) {
		snprintf(text, FBK_REASON_SIZE,
			 "the DRM device that the daemon uses is gone: restart the daemon to use "
			 "another");
	} else if (error == -ENFILE || error == -EMFILE) {
		snprintf(text, FBK_REASON_SIZE,
			 "the daemon's file descriptors are used up: raise LimitNOFILE=");
	} else {
		wire_text_copy(text, FBK_REASON_SIZE, strerrordesc_np(-error));
	}
}

/* ------------------------------------------------------------------------ the shared memory -- */

void session_wake_cell(struct session *session, uint32_t number)
{
	struct fbk_pair_page *pair = session_pair(session);
	session->broker->counters.wakes++;
	cell_bump(&pair->cells[number]);
	/* seq_cst: after the bump above; the waiter sets it before it re-reads its points */
	if (atomic_load_explicit(&pair->cells[0].minimum, memory_order_seq_cst) == 0) {
		cell_bump(&pair->cells[0]);
	}
}

static void session_look_word(struct session *session, uint32_t word, uint64_t bits)
{
	for (; bits; bits &= bits - 1) {
		struct handle *handle =
			session_handle(session, word * 64 + (uint32_t)__builtin_ctzll(bits));
		if (handle) {
			handle_rung(handle);
		}
	}
}

/* Doorbells come before requests; but who rings without a pause must not keep those from being served.
 * After so many the next ones queue up with the requests, until these had their turn. */
static void session_take_turn(struct session *session)
{
	struct broker *broker = session->broker;
	broker->bells_in_a_row++;
	if (event_get_priority(session->bell) == PRIORITY_REQUEST) {
		broker->bells_in_a_row = 0;
	}
	event_priority_set(session->bell, broker->bells_in_a_row < SESSION_BELLS_IN_A_ROW
						  ? PRIORITY_FENCE
						  : PRIORITY_REQUEST);
}

/* The doorbell: an eventfd that the client writes and nobody reads; each write is an edge. */
static void session_rung(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	struct session *session = arg;
	struct fbk_pair_page *pair = session_pair(session);
	unsigned int looks = 0;

	session->broker->counters.bells++;
	session_take_turn(session);
	/* D1. seq_cst: taken before minima and payloads are read; the client sets them first, then the
	 * bit, then the summary, then rings. What is set after this exchange rings again. */
	uint64_t summary = atomic_exchange_explicit(&pair->bell_summary, 0, memory_order_seq_cst);
	while (summary && looks < SESSION_LOOKS_PER_TURN) {
		uint32_t word = (uint32_t)__builtin_ctzll(summary);
		summary &= summary - 1;
		uint64_t bits =
			atomic_exchange_explicit(&pair->bell[word], 0, memory_order_seq_cst);
		looks += (unsigned int)__builtin_popcountll(bits);
		session_look_word(session, word, bits);
	}
	if (summary) {
		/* relaxed: these bits were seen before and are only put back for the next turn */
		atomic_fetch_or_explicit(&pair->bell_summary, summary, memory_order_relaxed);
		event_active(session->bell, EV_READ, 0);
	}
}

/* -------------------------------------------------------------------------------- receiving -- */

static void session_starve(struct session *session)
{
	event_del(session->readable);
	broker_arm(session->broker, &session->starving, clock_now_ns() + SESSION_STARVING_NS);
}

static void session_fed(struct wheel_timer *timer)
{
	struct session *session = container_of(timer, struct session, starving);
	if (session->reply.size > 0) {
		session_notify(session); /* that one first: then it is read again */
	} else {
		event_add(session->readable, NULL);
	}
}

/* Rule R10: with room for all fds of a packet, one cut short is the sender's fault. */
static bool session_may_receive(struct session *session)
{
	struct broker *broker = session->broker;
	if (session->reply.size > 0 || session->closing) {
		return false;
	}
	if (broker_free_fds(broker) < WIRE_FDS_ROOM) {
		log_starved(broker, "clients are not read");
		session_starve(session);
		return false;
	}
	if (!session_outbox_open(session)) {
		session_starve(session);
		return false;
	}
	return !session->closing;
}

static bool session_receive(struct session *session)
{
	static struct wire_packet packet;
	struct broker *broker = session->broker;
	if (!session_may_receive(session)) {
		return false;
	}
	int r = wire_receive(session->socket, &packet);
	if (r == -EAGAIN) {
		return false;
	}
	if (r > 0) {
		dispatch_packet(session, &packet);
	}
	/* Handlers take what they keep by setting it to -1. */
	closer_close_all(&broker->closer, packet.fds, packet.fd_count);
	if (r == 0) {
		session_end(session, NULL);
	} else if (r < 0) {
		broker->counters.malformed++;
		session_end(session, r == -EMSGSIZE ? "it sent a packet of more than 16 KiB"
						    : strerrordesc_np(-r));
	}
	return !session->hangup_after_reply;
}

static void session_readable(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	struct session *session = arg;
	session->broker->bells_in_a_row = 0;
	for (int i = 0; i < SESSION_REQUESTS_PER_TURN && session_receive(session); i++) {
	}
}

static void session_exited(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	struct session *session = arg;
	/* What it sent before it died still counts: it was asked for while it lived. Bounded: a
	 * child that it forked may still be sending. */
	for (int i = 0; i < SESSION_LAST_REQUESTS && session_receive(session); i++) {
	}
	session_end(session, NULL);
}

static void session_not_greeted(struct wheel_timer *timer)
{
	session_end(container_of(timer, struct session, greeting), "it never said Hello");
}

/* ------------------------------------------------------------------------------ the handles -- */

struct handle *session_handle(const struct session *session, uint32_t number)
{
	return number < session->handles_size ? session->handles[number] : NULL;
}

static int session_handles_grow(struct session *session)
{
	uint32_t size = session->handles_size ? session->handles_size * 2 : 16;
	if (session->handles_size == FBK_PAIR_CELLS) {
		return -ENOSPC;
	}
	struct handle **handles = reallocarray(session->handles, size, sizeof(struct handle *));
	if (!handles) {
		return -ENOMEM;
	}
	memset(handles + session->handles_size, 0,
	       (size - session->handles_size) * sizeof(struct handle *));
	session->handles = handles;
	session->handles_size = size;
	return 0;
}

int session_handle_add(struct session *session, struct handle *handle)
{
	uint32_t number = session->handle_hint ? session->handle_hint : 1; /* 0 is none */
	while (session_handle(session, number)) {
		number++;
	}
	int r = number < session->handles_size ? 0 : session_handles_grow(session);
	if (r == 0) {
		r = charge_grow(&session->handles_charge, session->user, ACCOUNT_HANDLES, 1);
	}
	if (r < 0) {
		return r;
	}
	session->handles[number] = handle;
	session->handle_hint = number + 1;
	handle->number = number;
	return 0;
}

void session_handle_remove(struct session *session, struct handle *handle)
{
	charge_shrink(&session->handles_charge, 1);
	session->handles[handle->number] = NULL;
	if (handle->number < session->handle_hint) {
		session->handle_hint = handle->number;
	}
}

/* --------------------------------------------------------------------------- birth and death -- */

static int session_credentials(struct session *session)
{
	struct ucred cred;
	socklen_t size = sizeof(cred);
	if (getsockopt(session->socket, SOL_SOCKET, SO_PEERCRED, &cred, &size) < 0) {
		return -errno;
	}
	session->pid = cred.pid;
	session->subject.uid = cred.uid;
	session->subject.gid = cred.gid;

	size = sizeof(session->groups);
	if (getsockopt(session->socket, SOL_SOCKET, SO_PEERGROUPS, session->groups, &size) == 0) {
		session->subject.groups = session->groups;
		session->subject.group_count = size / sizeof(gid_t);
	} /* in more groups than we look at: then none of them counts, which only takes rights */

	size = sizeof(session->pidfd);
	if (getsockopt(session->socket, SOL_SOCKET, SO_PEERPIDFD, &session->pidfd, &size) < 0) {
		/* before Linux 6.5; a process that exited since is told by the hang-up */
		session->pidfd = (int)syscall(SYS_pidfd_open, cred.pid, 0);
	}
	char *unit = NULL;
	if (sd_pid_get_unit(cred.pid, &unit) >= 0) {
		wire_text_copy(session->unit, sizeof(session->unit), unit);
	}
	free(unit);
	return session->pidfd < 0 ? -errno : 0;
}

static int session_charge(struct session *session)
{
	struct broker *broker = session->broker;
	uint64_t limits[ACCOUNT_RESOURCE_COUNT];
	policy_limits(broker->policy, &session->subject, limits);
	int r = account_user_ref(broker->account, session->subject.uid, limits, &session->user);
	if (r == 0) {
		r = charge_take(&session->charge, session->user, ACCOUNT_SESSIONS, 1);
	}
	if (r == 0) {
		/* socket, pidfd, doorbell, and what may lie unread in the socket; the pair page
		 * charges its own */
		r = charge_take(&session->fd_charge, session->user, ACCOUNT_FDS,
				3 + SESSION_FLIGHT_MAX);
	}
	return r;
}

static int session_watch_events(struct session *session)
{
	struct event_base *base = session->broker->base;
	session->readable =
		event_new(base, session->socket, EV_READ | EV_PERSIST, session_readable, session);
	session->writable = event_new(base, session->socket, EV_WRITE, session_writable, session);
	session->exited = event_new(base, session->pidfd, EV_READ, session_exited, session);
	if (!session->readable || !session->writable || !session->exited) {
		return -ENOMEM;
	}
	event_priority_set(session->readable, PRIORITY_REQUEST);
	event_priority_set(session->writable, PRIORITY_FENCE);
	event_priority_set(session->exited, PRIORITY_REQUEST);
	if (event_add(session->readable, NULL) < 0 || event_add(session->exited, NULL) < 0) {
		return -ENOMEM;
	}
	return 0;
}

int session_create(struct broker *broker, int socket, struct session **ret_session)
{
	struct session *session = calloc(1, sizeof(*session));
	if (!session) {
		closer_close(&broker->closer, socket);
		return -ENOMEM;
	}
	session->broker = broker;
	session->id = broker_new_id(broker);
	session->socket = socket;
	session->pidfd = -1;
	session->doorbell = -1;
	session->greeting.fire = session_not_greeted;
	session->starving.fire = session_fed;
	TAILQ_INIT(&session->fired);
	LIST_INSERT_HEAD(&broker->sessions, session, links);
	broker->session_count++;

	int r = session_credentials(session);
	if (r == 0) {
		r = session_charge(session);
	}
	if (r == 0) {
		r = session_watch_events(session);
	}
	if (r < 0) {
		session_refuse(session, r);
		session->closing = true;
		session_destroy(session);
		return r;
	}
	broker_arm(broker, &session->greeting, clock_now_ns() + SESSION_GREETING_NS);
	*ret_session = session;
	return 0;
}

int session_greet(struct session *session, const char *name)
{
	struct broker *broker = session->broker;
	int r = page_create(FBK_PAGE_PAIR, broker_new_id(broker), 0, sizeof(struct fbk_pair_page),
			    session->user, &session->pair);
	if (r < 0) {
		return r;
	}
	session->doorbell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (session->doorbell < 0) {
		return -errno;
	}
	session->bell = event_new(broker->base, session->doorbell, EV_READ | EV_ET | EV_PERSIST,
				  session_rung, session);
	if (!session->bell || event_priority_set(session->bell, PRIORITY_FENCE) < 0 ||
	    event_add(session->bell, NULL) < 0) {
		return -ENOMEM;
	}
	cell_init(&session_pair(session)->cells[0]);
	wire_text_copy(session->name, sizeof(session->name), name);
	return 0;
}

void session_end(struct session *session, const char *why)
{
	if (session->closing) {
		return;
	}
	struct broker *broker = session->broker;
	if (why) {
		log_client(session, "%s; disconnected", why);
	} else {
		log_debug("%s %s", session_label(session), session->left ? "left" : "hung up");
	}
	session->closing = true;
	event_del(session->readable);
	event_del(session->writable);
	event_del(session->exited);
	if (session->bell) {
		event_del(session->bell);
	}
	LIST_REMOVE(session, links);
	LIST_INSERT_HEAD(&broker->dying, session, links);
	broker_reap_later(broker);
}

void session_destroy(struct session *session)
{
	struct broker *broker = session->broker;
	broker_disarm(broker, &session->greeting);
	broker_disarm(broker, &session->starving);
	event_drop(session->readable);
	event_drop(session->writable);
	event_drop(session->exited);
	event_drop(session->bell);

	export_drop_all(session);
	graph_drop(&broker->graph, &session->waits);
	for (uint32_t number = 1; number < session->handles_size; number++) {
		if (session->handles[number]) {
			handle_destroy(session->handles[number]);
		}
	}
	session_objects_destroy(session);
	free(session->handles);
	session_outbox_finish(session);
	page_unref(session->pair);
	if (session->doorbell >= 0) {
		close(session->doorbell);
	}
	if (session->pidfd >= 0) {
		close(session->pidfd);
	}
	/* Packets nobody read may hold fds whose close blocks: not here. */
	closer_close(&broker->closer, session->socket);
	charge_release(&session->fd_charge);
	charge_release(&session->charge);
	user_unref(session->user);
	LIST_REMOVE(session, links);
	broker->session_count--;
	free(session);
}
