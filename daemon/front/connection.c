// SPDX-License-Identifier: MIT
#include "connection.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <systemd/sd-login.h>
#include <unistd.h>

#include "broker.h"
#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/base/process.h"
#include "daemon/core/client-log.h"
#include "daemon/core/device.h"
#include "dispatch.h"
#include "proto/wire.h"

#define CONNECTION_REQUESTS_PER_TURN 16
#define CONNECTION_LAST_REQUESTS     256
#define CONNECTION_GREETING_NS       (5 * NS_PER_S)

_Static_assert(ANSWER_FDS_MAX <= CONNECTION_REPLY_FDS, "an answer that is kept fits");

#ifndef SO_PASSPIDFD /* Linux 6.5 */
#define SO_PASSPIDFD 76
#endif
#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

/* ------------------------------------------------------------------------------ credentials -- */

static void credentials_find_unit(struct credentials *credentials)
{
	char *unit = NULL;
	credentials->unit[0] = '\0';
	if (sd_pid_get_unit(credentials->pid, &unit) >= 0) {
		wire_text_copy(credentials->unit, sizeof(credentials->unit), unit);
	}
	free(unit);
}

/* A socket cannot say more of itself before its first packet, which is too late: whether it is accepted is decided now. */
bool connection_socket_inspects(int socket)
{
	struct sockaddr_un address;
	socklen_t size = sizeof(address);
	size_t length = strlen(WIRE_INSPECTS_ADDRESS);
	return getpeername(socket, (struct sockaddr *)&address, &size) == 0 &&
	       size >= offsetof(struct sockaddr_un, sun_path) + 1 + length &&
	       address.sun_path[0] == '\0' &&
	       memcmp(address.sun_path + 1, WIRE_INSPECTS_ADDRESS, length) == 0;
}

int connection_credentials(int socket, struct credentials *ret_credentials)
{
	struct credentials *credentials = ret_credentials;
	struct ucred cred;
	socklen_t size = sizeof(cred);
	*credentials = (struct credentials){ .pidfd = -1 };
	if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &cred, &size) < 0) {
		return -errno;
	}
	credentials->pid = cred.pid;
	credentials->uid = cred.uid;
	credentials->gid = cred.gid;

	size = sizeof(credentials->groups);
	if (getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, credentials->groups, &size) == 0) {
		credentials->group_count = size / sizeof(gid_t);
	} /* in more groups than fit: then none counts, which can only deny rights */

	size = sizeof(credentials->pidfd);
	if (getsockopt(socket, SOL_SOCKET, SO_PEERPIDFD, &credentials->pidfd, &size) < 0) {
		/* before Linux 6.5; the hang-up reports a process that exited since */
		credentials->pidfd = (int)syscall(SYS_pidfd_open, cred.pid, 0);
	}
	if (credentials->pidfd < 0) {
		return -errno;
	}
	credentials_find_unit(credentials);
	credentials->inspects = connection_socket_inspects(socket);
	return 0;
}

/* -------------------------------------------------------------------------------- receiving -- */

/* Try again later: soon at first, and ever more seldom for a peer that is stopped for long. */
static void connection_starve(struct connection *connection)
{
	uint64_t now = clock_now_ns();
	uint64_t unread = connection->unread_since_ns;
	uint64_t pause = unread > 0 ? (now - unread) / 16 : 0;
	if (pause < CONNECTION_STARVING_NS) {
		pause = CONNECTION_STARVING_NS;
	} else if (pause > CONNECTION_STARVING_MAX_NS) {
		pause = CONNECTION_STARVING_MAX_NS;
	}
	event_del(connection->readable);
	loop_arm(&connection->broker->registry.loop, &connection->starving, now + pause);
}

static void connection_fed(struct wheel_timer *timer)
{
	struct connection *connection = container_of(timer, struct connection, starving);
	if (connection->reply.size > 0) {
		connection_flush_soon(connection); /* the reply first; reading resumes after it */
	} else {
		event_add(connection->readable, NULL);
	}
}

/* An administrator that looks is served when all else waits for fds. It sends none. */
static bool connection_may_use_spare(const struct connection *connection)
{
	const struct client *client = connection->client;
	return client->admin && client->credentials.inspects;
}

/* Rule R10: receive only with room for all fds of a packet; then a truncated packet is the sender's fault. */
static bool connection_may_receive(struct connection *connection)
{
	if (connection->reply.size > 0 || connection->closing) {
		return false;
	}
	if (!connection_may_use_spare(connection) &&
	    registry_free_fds(&connection->broker->registry) < WIRE_FDS_ROOM) {
		log_starved("clients are not read");
		connection_starve(connection);
		return false;
	}
	if (!connection_outbox_open(connection)) {
		connection_starve(connection);
		return false;
	}
	return !connection->closing;
}

/* The only place where a request ends the connection: after its answer was sent. */
static void connection_follow_up(struct connection *connection, enum answer_then then)
{
	if (then == ANSWER_THEN_LEAVE) {
		connection_end(connection, FBK_CAUSE_OWNER_LEFT, NULL);
	} else if (then == ANSWER_THEN_HANG_UP) {
		connection->hangup_after_reply = true;
		if (connection->reply.size == 0) {
			connection_end(connection, connection->cause, NULL);
		}
	}
}

static void connection_answer(struct connection *connection, struct wire_packet *packet)
{
	static _Alignas(16) uint8_t memory[WIRE_ARENA_SIZE];
	struct registry *registry = &connection->broker->registry;
	struct client *client = connection->client;
	struct answer answer;
	struct wire_arena arena;
	wire_arena_init(&arena, memory, sizeof(memory));

	Fbk__Wire__Request *request =
		fbk__wire__request__unpack(&arena.allocator, packet->size, packet->bytes);
	if (!request || request->serial == 0) {
		registry->counters.malformed++;
		registry->counters.fds_refused += packet->fd_count;
		connection_end(connection, FBK_CAUSE_OWNER_DIED,
			       "it sent a packet that is not a request");
		return;
	}
	enum answer_then then = dispatch_run(client, request, packet, &answer);
	if (!answer.silent) {
		connection_send(connection, &answer.message, answer.fds, answer.fd_count);
	}
	answer_finish(&answer);
	if (client->greeted) {
		loop_disarm(&registry->loop, &connection->greeting);
	}
	connection_follow_up(connection, then);
}

static void connection_exited(evutil_socket_t fd, short what, void *arg);

static int connection_listen_exit(struct connection *connection)
{
	connection->exited = loop_listen(&connection->broker->registry.loop,
					 connection->client->credentials.pidfd, EV_READ,
					 PRIORITY_REQUEST, connection_exited, connection);
	return connection->exited ? 0 : -ENOMEM;
}

/* Who came over the bus speaks for the first time: from now on that process is the client. */
static int connection_meet(struct connection *connection, struct wire_sender *sender)
{
	struct credentials *credentials = &connection->client->credentials;
	const int off = 0;
	if (sender->pid == 0 || sender->uid != credentials->uid) {
		return -EPERM;
	}
	if (sender->pidfd < 0) { /* before Linux 6.5 */
		sender->pidfd = (int)syscall(SYS_pidfd_open, sender->pid, 0);
	}
	if (sender->pidfd < 0) {
		return -ESRCH;
	}
	if (credentials->pidfd >= 0) {
		close(credentials->pidfd);
	}
	credentials->pid = sender->pid;
	credentials->pidfd = sender->pidfd;
	sender->pidfd = -1;
	credentials_find_unit(credentials);
	devices_adopt_process(connection->client);
	setsockopt(connection->socket, SOL_SOCKET, SO_PASSCRED, &off, sizeof(off));
	setsockopt(connection->socket, SOL_SOCKET, SO_PASSPIDFD, &off, sizeof(off));
	connection->anonymous = false;
	return connection_listen_exit(connection);
}

static bool connection_knows(struct connection *connection, struct wire_packet *packet)
{
	int r = connection->anonymous ? connection_meet(connection, &packet->sender) : 0;
	if (packet->sender.pidfd >= 0) {
		close(packet->sender.pidfd); /* the kernel's own: never blocks */
	}
	if (r < 0) {
		connection_end(connection, FBK_CAUSE_OWNER_DIED,
			       r == -EPERM ? "it is not of the user that registered it over the bus"
					   : strerrordesc_np(-r));
	}
	return r == 0;
}

/* A hang-up without Goodbye is a death, but for a program from the bus that never spoke: closing the socket is its only
 * way to leave. */
static enum fbk_cause connection_hangup_cause(const struct connection *connection)
{
	bool left = connection->anonymous && process_runs(connection->client->credentials.pidfd);
	return left ? FBK_CAUSE_OWNER_LEFT : FBK_CAUSE_OWNER_DIED;
}

static bool connection_receive(struct connection *connection)
{
	static struct wire_packet packet;
	struct registry *registry = &connection->broker->registry;
	if (!connection_may_receive(connection)) {
		return false;
	}
	int r = wire_receive(connection->socket, &packet);
	if (r == -EAGAIN) {
		return false;
	}
	if (r > 0 && connection_knows(connection, &packet)) {
		connection_answer(connection, &packet);
	}
	/* A handler that keeps an fd has set it to -1. */
	closer_close_all(&registry->closer, packet.fds, packet.fd_count);
	if (r == 0) {
		connection_end(connection, connection_hangup_cause(connection), NULL);
	} else if (r < 0) {
		registry->counters.malformed++;
		connection_end(connection, FBK_CAUSE_OWNER_DIED,
			       r == -EMSGSIZE ? "it sent a packet of more than 16 KiB"
					      : strerrordesc_np(-r));
	}
	return !connection->hangup_after_reply;
}

static void connection_readable(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	struct connection *connection = arg;
	struct spare *spare =
		connection_may_use_spare(connection) ? &connection->broker->spare : NULL;
	connection->broker->registry.bells_in_a_row = 0;
	if (spare) {
		spare_lend(spare);
	}
	for (int i = 0; i < CONNECTION_REQUESTS_PER_TURN && connection_receive(connection); i++) {
	}
	if (spare) {
		spare_fill(spare);
	}
}

static void connection_exited(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	struct connection *connection = arg;
	/* Requests that it sent before it died still count. Bounded, as a forked child may still be
	 * sending. */
	for (int i = 0; i < CONNECTION_LAST_REQUESTS && connection_receive(connection); i++) {
	}
	connection_end(connection, FBK_CAUSE_OWNER_DIED, NULL);
}

void connection_look_exit(struct connection *connection)
{
	int pidfd = connection->client->credentials.pidfd;
	if (pidfd >= 0 && !process_runs(pidfd)) {
		connection_exited(-1, 0, connection);
	}
}

static void connection_not_greeted(struct wheel_timer *timer)
{
	connection_end(container_of(timer, struct connection, greeting), FBK_CAUSE_OWNER_DIED,
		       "it never said Hello");
}

/* --------------------------------------------------------------------------- birth and death -- */

static void connection_notify(struct client *client)
{
	connection_flush_soon(client->connection);
}

static int connection_listen(struct connection *connection)
{
	struct loop *loop = &connection->broker->registry.loop;
	connection->readable = loop_listen(loop, connection->socket, EV_READ | EV_PERSIST,
					   PRIORITY_REQUEST, connection_readable, connection);
	connection->writable = event_new(loop->base, connection->socket, EV_WRITE,
					 connection_writable, connection);
	if (!connection->readable || !connection->writable) {
		return -ENOMEM;
	}
	event_priority_set(connection->writable, PRIORITY_FENCE);
	return connection->anonymous ? 0 : connection_listen_exit(connection);
}

/* The socket, and the fds that may be unread in it. */
static int connection_charge(struct connection *connection)
{
	return charge_take(&connection->fd_charge, connection->client->user, ACCOUNT_FDS,
			   1 + CONNECTION_FLIGHT_MAX);
}

/* The client and its connection have a charge each. */
static int connection_admit(struct connection *connection)
{
	struct client *client = connection->client;
	int r = client_admit(client);
	if (r == 0) {
		r = connection_charge(connection);
	}
	if (client_may_use_reserve(client, r)) {
		r = client_use_reserve(client);
		r = r < 0 ? r : connection_charge(connection);
	}
	return r;
}

/* Root administers the system's daemon, and each user its own. */
bool connection_may_administer(const struct broker *broker, uid_t uid)
{
	return uid == 0 || (broker->user_mode && uid == geteuid());
}

static int connection_alloc(struct broker *broker, const struct credentials *credentials,
			    struct connection **ret_connection)
{
	struct client *client;
	int r = client_create(&broker->registry, credentials, &client);
	if (r < 0) {
		return r;
	}
	struct connection *connection = calloc(1, sizeof(*connection));
	if (!connection) {
		client_end(client, FBK_CAUSE_OWNER_DIED);
		return -ENOMEM;
	}
	connection->broker = broker;
	connection->client = client;
	connection->socket = -1;
	connection->cause = FBK_CAUSE_OWNER_DIED;
	STAILQ_INIT(&connection->late);
	connection->greeting.fire = connection_not_greeted;
	connection->starving.fire = connection_fed;
	client->notify = connection_notify;
	client->connection = connection;
	client->admin = connection_may_administer(broker, credentials->uid);
	LIST_INSERT_HEAD(&broker->connections, connection, links);
	*ret_connection = connection;
	return 0;
}

/* Serve the socket from now on. A connection that fails is destroyed, without its socket. */
static int connection_start(struct connection *connection, int socket, const char *registrar,
			    char *detail)
{
	connection->socket = socket;
	int r = connection_admit(connection);
	if (r == 0) {
		r = connection_listen(connection);
	}
	if (r == 0 && registrar) {
		connection->registrar = strdup(registrar);
		r = connection->registrar ? 0 : -ENOMEM;
	}
	if (r == 0 && registrar) {
		r = client_may_connect(connection->client, detail);
		connection->client->greeted = r == 0;
	}
	if (r < 0) {
		if (!detail[0]) {
			error_explain(connection->client, r, detail);
		}
		connection->socket = -1;
		connection->closing = true;
		connection_destroy(connection);
	}
	return r;
}

int connection_create(struct broker *broker, int socket, const struct credentials *credentials,
		      struct connection **ret_connection, char *detail)
{
	struct connection *connection;
	int r = connection_alloc(broker, credentials, &connection);
	detail[0] = '\0';
	if (r == 0) {
		r = connection_start(connection, socket, NULL, detail);
	} else {
		wire_text_copy(detail, FBK_REASON_SIZE, strerrordesc_np(-r));
	}
	if (r < 0) {
		return r;
	}
	loop_arm(&broker->registry.loop, &connection->greeting,
		 clock_now_ns() + CONNECTION_GREETING_NS);
	*ret_connection = connection;
	return 0;
}

int connection_create_for_bus(struct broker *broker, int socket,
			      const struct credentials *credentials, const char *registrar,
			      struct connection **ret_connection, char *detail)
{
	const int on = 1;
	struct connection *connection;
	int r = connection_alloc(broker, credentials, &connection);
	detail[0] = '\0';
	if (r < 0) {
		wire_text_copy(detail, FBK_REASON_SIZE, strerrordesc_np(-r));
		return r;
	}
	connection->anonymous = true;
	wire_text_copy(connection->client->name, FBK_NAME_SIZE, registrar);
	setsockopt(socket, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on));
	setsockopt(socket, SOL_SOCKET, SO_PASSPIDFD, &on, sizeof(on)); /* fails before Linux 6.5 */
	r = connection_start(connection, socket, registrar, detail);
	if (r == 0) {
		*ret_connection = connection;
	}
	return r;
}

void connection_end(struct connection *connection, enum fbk_cause cause, const char *why)
{
	struct client *client = connection->client;
	struct broker *broker = connection->broker;
	if (connection->closing) {
		return;
	}
	if (why) {
		client_log(client, "%s; disconnected", why);
	} else {
		log_debug("%s %s", client_label(client),
			  cause == FBK_CAUSE_OWNER_LEFT ? "left" : "hung up");
	}
	connection->closing = true;
	connection->cause = cause;
	client->ending = true;
	event_del(connection->readable);
	event_del(connection->writable);
	if (connection->exited) {
		event_del(connection->exited);
	}
	bell_mute(&client->bell);
	LIST_REMOVE(connection, links);
	LIST_INSERT_HEAD(&broker->dying, connection, links);
	/* Not now: a running callback may still use the connection. */
	event_active(broker->reaper, EV_TIMEOUT, 0);
}

bool connection_displace(struct broker *broker)
{
	struct connection *connection, *oldest = NULL;
	LIST_FOREACH(connection, &broker->connections, links) { /* newest first */
		oldest = connection->client->reserve ? connection : oldest;
	}
	if (oldest) {
		connection_end(oldest, FBK_CAUSE_ADMIN,
			       "a newer administrator's connection takes its place in the reserve");
		connection_destroy(oldest);
	}
	return oldest;
}

void connection_destroy(struct connection *connection)
{
	struct registry *registry = &connection->broker->registry;
	loop_disarm(&registry->loop, &connection->greeting);
	loop_disarm(&registry->loop, &connection->starving);
	event_drop(connection->readable);
	event_drop(connection->writable);
	event_drop(connection->exited);
	client_end(connection->client, connection->cause);
	connection_outbox_finish(connection);
	/* Unread packets may hold fds whose close blocks: leave it to the closer. */
	closer_close(&registry->closer, connection->socket);
	charge_release(&connection->fd_charge);
	LIST_REMOVE(connection, links);
	free(connection->registrar);
	free(connection);
}
