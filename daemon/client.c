// SPDX-License-Identifier: MIT
#include "client.h"

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
#include "client-object.h"
#include "watch.h"

#define CLIENT_REQUESTS_PER_TURN 16
#define CLIENT_LAST_REQUESTS     256
#define CLIENT_LOOKS_PER_TURN    256
#define CLIENT_BELLS_IN_A_ROW    64
#define CLIENT_GREETING_NS       (5 * NS_PER_S)

#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

const char *client_label(const struct client *client)
{
	static char label[96];
	snprintf(label, sizeof(label), "%s (pid %d, uid %u)",
		 client->name[0] ? client->name : "a new client", client->pid, client->subject.uid);
	return label;
}

void client_explain(const struct client *client, int error, char *text)
{
	const struct account_limit *limit = client->user ? user_refused(client->user) : NULL;
	if (error == -EDQUOT && limit) {
		snprintf(text, FBK_REASON_SIZE,
			 "a limit of uid %u is reached: %s (%s); release something, or raise it in "
			 "the "
			 "policy",
			 client->subject.uid, limit->key, limit->what);
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

void client_wake_cell(struct client *client, uint32_t number)
{
	struct fbk_pair_page *pair = client_pair(client);
	client->broker->counters.wakes++;
	cell_bump(&pair->cells[number]);
	/* seq_cst: after the bump above; the waiter sets it before it re-reads its points */
	if (atomic_load_explicit(&pair->cells[0].minimum, memory_order_seq_cst) == 0) {
		cell_bump(&pair->cells[0]);
	}
}

static void client_look_word(struct client *client, uint32_t word, uint64_t bits)
{
	for (; bits; bits &= bits - 1) {
		struct handle *handle =
			client_handle(client, word * 64 + (uint32_t)__builtin_ctzll(bits));
		if (handle) {
			handle_rung(handle);
		}
	}
}

/* Doorbells come before requests; but who rings without a pause must not keep those from being served.
 * After so many the next ones queue up with the requests, until these had their turn. */
static void client_take_turn(struct client *client)
{
	struct broker *broker = client->broker;
	broker->bells_in_a_row++;
	if (event_get_priority(client->bell) == PRIORITY_REQUEST) {
		broker->bells_in_a_row = 0;
	}
	event_priority_set(client->bell, broker->bells_in_a_row < CLIENT_BELLS_IN_A_ROW
						 ? PRIORITY_FENCE
						 : PRIORITY_REQUEST);
}

/* The doorbell: an eventfd that the client writes and nobody reads; each write is an edge. */
static void client_rung(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	struct client *client = arg;
	struct fbk_pair_page *pair = client_pair(client);
	unsigned int looks = 0;

	client->broker->counters.bells++;
	client_take_turn(client);
	/* D1. seq_cst: taken before minima and payloads are read; the client sets them first, then the
	 * bit, then the summary, then rings. What is set after this exchange rings again. */
	uint64_t summary = atomic_exchange_explicit(&pair->bell_summary, 0, memory_order_seq_cst);
	while (summary && looks < CLIENT_LOOKS_PER_TURN) {
		uint32_t word = (uint32_t)__builtin_ctzll(summary);
		summary &= summary - 1;
		uint64_t bits =
			atomic_exchange_explicit(&pair->bell[word], 0, memory_order_seq_cst);
		looks += (unsigned int)__builtin_popcountll(bits);
		client_look_word(client, word, bits);
	}
	if (summary) {
		/* relaxed: these bits were seen before and are only put back for the next turn */
		atomic_fetch_or_explicit(&pair->bell_summary, summary, memory_order_relaxed);
		event_active(client->bell, EV_READ, 0);
	}
}

/* -------------------------------------------------------------------------------- receiving -- */

static void client_starve(struct client *client)
{
	event_del(client->readable);
	broker_arm(client->broker, &client->starving, clock_now_ns() + CLIENT_STARVING_NS);
}

static void client_fed(struct wheel_timer *timer)
{
	struct client *client = container_of(timer, struct client, starving);
	if (client->reply.size > 0) {
		client_notify(client); /* that one first: then it is read again */
	} else {
		event_add(client->readable, NULL);
	}
}

/* Rule R10: with room for all fds of a packet, one cut short is the sender's fault. */
static bool client_may_receive(struct client *client)
{
	struct broker *broker = client->broker;
	if (client->reply.size > 0 || client->closing) {
		return false;
	}
	if (broker_free_fds(broker) < WIRE_FDS_ROOM) {
		log_starved(broker, "clients are not read");
		client_starve(client);
		return false;
	}
	if (!client_outbox_open(client)) {
		client_starve(client);
		return false;
	}
	return !client->closing;
}

static bool client_receive(struct client *client)
{
	static struct wire_packet packet;
	struct broker *broker = client->broker;
	if (!client_may_receive(client)) {
		return false;
	}
	int r = wire_receive(client->socket, &packet);
	if (r == -EAGAIN) {
		return false;
	}
	if (r > 0) {
		dispatch_packet(client, &packet);
	}
	/* Handlers take what they keep by setting it to -1. */
	closer_close_all(&broker->closer, packet.fds, packet.fd_count);
	if (r == 0) {
		client_end(client, NULL);
	} else if (r < 0) {
		broker->counters.malformed++;
		client_end(client, r == -EMSGSIZE ? "it sent a packet of more than 16 KiB"
						  : strerrordesc_np(-r));
	}
	return !client->hangup_after_reply;
}

static void client_readable(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	struct client *client = arg;
	client->broker->bells_in_a_row = 0;
	for (int i = 0; i < CLIENT_REQUESTS_PER_TURN && client_receive(client); i++) {
	}
}

static void client_exited(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	struct client *client = arg;
	/* What it sent before it died still counts: it was asked for while it lived. Bounded: a
	 * child that it forked may still be sending. */
	for (int i = 0; i < CLIENT_LAST_REQUESTS && client_receive(client); i++) {
	}
	client_end(client, NULL);
}

static void client_not_greeted(struct wheel_timer *timer)
{
	client_end(container_of(timer, struct client, greeting), "it never said Hello");
}

/* ------------------------------------------------------------------------------ the handles -- */

struct handle *client_handle(const struct client *client, uint32_t number)
{
	return number < client->handles_size ? client->handles[number] : NULL;
}

static int client_handles_grow(struct client *client)
{
	uint32_t size = client->handles_size ? client->handles_size * 2 : 16;
	if (client->handles_size == FBK_PAIR_CELLS) {
		return -ENOSPC;
	}
	struct handle **handles = reallocarray(client->handles, size, sizeof(struct handle *));
	if (!handles) {
		return -ENOMEM;
	}
	memset(handles + client->handles_size, 0,
	       (size - client->handles_size) * sizeof(struct handle *));
	client->handles = handles;
	client->handles_size = size;
	return 0;
}

int client_handle_add(struct client *client, struct handle *handle)
{
	uint32_t number = client->handle_hint ? client->handle_hint : 1; /* 0 is none */
	while (client_handle(client, number)) {
		number++;
	}
	int r = number < client->handles_size ? 0 : client_handles_grow(client);
	if (r == 0) {
		r = charge_grow(&client->handles_charge, client->user, ACCOUNT_HANDLES, 1);
	}
	if (r < 0) {
		return r;
	}
	client->handles[number] = handle;
	client->handle_hint = number + 1;
	handle->number = number;
	return 0;
}

void client_handle_remove(struct client *client, struct handle *handle)
{
	charge_shrink(&client->handles_charge, 1);
	client->handles[handle->number] = NULL;
	if (handle->number < client->handle_hint) {
		client->handle_hint = handle->number;
	}
}

/* --------------------------------------------------------------------------- birth and death -- */

static int client_credentials(struct client *client)
{
	struct ucred cred;
	socklen_t size = sizeof(cred);
	if (getsockopt(client->socket, SOL_SOCKET, SO_PEERCRED, &cred, &size) < 0) {
		return -errno;
	}
	client->pid = cred.pid;
	client->subject.uid = cred.uid;
	client->subject.gid = cred.gid;

	size = sizeof(client->groups);
	if (getsockopt(client->socket, SOL_SOCKET, SO_PEERGROUPS, client->groups, &size) == 0) {
		client->subject.groups = client->groups;
		client->subject.group_count = size / sizeof(gid_t);
	} /* in more groups than we look at: then none of them counts, which only takes rights */

	size = sizeof(client->pidfd);
	if (getsockopt(client->socket, SOL_SOCKET, SO_PEERPIDFD, &client->pidfd, &size) < 0) {
		/* before Linux 6.5; a process that exited since is told by the hang-up */
		client->pidfd = (int)syscall(SYS_pidfd_open, cred.pid, 0);
	}
	char *unit = NULL;
	if (sd_pid_get_unit(cred.pid, &unit) >= 0) {
		wire_text_copy(client->unit, sizeof(client->unit), unit);
	}
	free(unit);
	return client->pidfd < 0 ? -errno : 0;
}

static int client_charge(struct client *client)
{
	struct broker *broker = client->broker;
	uint64_t limits[ACCOUNT_RESOURCE_COUNT];
	policy_limits(broker->policy, &client->subject, limits);
	int r = account_user_ref(broker->account, client->subject.uid, limits, &client->user);
	if (r == 0) {
		r = charge_take(&client->charge, client->user, ACCOUNT_SESSIONS, 1);
	}
	if (r == 0) {
		/* socket, pidfd, doorbell, and what may lie unread in the socket; the pair page
		 * charges its own */
		r = charge_take(&client->fd_charge, client->user, ACCOUNT_FDS,
				3 + CLIENT_FLIGHT_MAX);
	}
	return r;
}

static int client_watch_events(struct client *client)
{
	struct event_base *base = client->broker->base;
	client->readable =
		event_new(base, client->socket, EV_READ | EV_PERSIST, client_readable, client);
	client->writable = event_new(base, client->socket, EV_WRITE, client_writable, client);
	client->exited = event_new(base, client->pidfd, EV_READ, client_exited, client);
	if (!client->readable || !client->writable || !client->exited) {
		return -ENOMEM;
	}
	event_priority_set(client->readable, PRIORITY_REQUEST);
	event_priority_set(client->writable, PRIORITY_FENCE);
	event_priority_set(client->exited, PRIORITY_REQUEST);
	if (event_add(client->readable, NULL) < 0 || event_add(client->exited, NULL) < 0) {
		return -ENOMEM;
	}
	return 0;
}

int client_create(struct broker *broker, int socket, struct client **ret_client)
{
	struct client *client = calloc(1, sizeof(*client));
	if (!client) {
		closer_close(&broker->closer, socket);
		return -ENOMEM;
	}
	client->broker = broker;
	client->id = broker_new_id(broker);
	client->socket = socket;
	client->pidfd = -1;
	client->doorbell = -1;
	client->greeting.fire = client_not_greeted;
	client->starving.fire = client_fed;
	TAILQ_INIT(&client->fired);
	LIST_INSERT_HEAD(&broker->clients, client, links);
	broker->client_count++;

	int r = client_credentials(client);
	if (r == 0) {
		r = client_charge(client);
	}
	if (r == 0) {
		r = client_watch_events(client);
	}
	if (r < 0) {
		client_refuse(client, r);
		client->closing = true;
		client_destroy(client);
		return r;
	}
	broker_arm(broker, &client->greeting, clock_now_ns() + CLIENT_GREETING_NS);
	*ret_client = client;
	return 0;
}

int client_greet(struct client *client, const char *name)
{
	struct broker *broker = client->broker;
	int r = page_create(FBK_PAGE_PAIR, broker_new_id(broker), 0, sizeof(struct fbk_pair_page),
			    client->user, &client->pair);
	if (r < 0) {
		return r;
	}
	client->doorbell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (client->doorbell < 0) {
		return -errno;
	}
	client->bell = event_new(broker->base, client->doorbell, EV_READ | EV_ET | EV_PERSIST,
				 client_rung, client);
	if (!client->bell || event_priority_set(client->bell, PRIORITY_FENCE) < 0 ||
	    event_add(client->bell, NULL) < 0) {
		return -ENOMEM;
	}
	cell_init(&client_pair(client)->cells[0]);
	wire_text_copy(client->name, sizeof(client->name), name);
	return 0;
}

void client_end(struct client *client, const char *why)
{
	if (client->closing) {
		return;
	}
	struct broker *broker = client->broker;
	if (why) {
		log_client(client, "%s; disconnected", why);
	} else {
		log_debug("%s %s", client_label(client), client->left ? "left" : "hung up");
	}
	client->closing = true;
	event_del(client->readable);
	event_del(client->writable);
	event_del(client->exited);
	if (client->bell) {
		event_del(client->bell);
	}
	LIST_REMOVE(client, links);
	LIST_INSERT_HEAD(&broker->dying, client, links);
	broker_reap_later(broker);
}

void client_destroy(struct client *client)
{
	struct broker *broker = client->broker;
	broker_disarm(broker, &client->greeting);
	broker_disarm(broker, &client->starving);
	event_drop(client->readable);
	event_drop(client->writable);
	event_drop(client->exited);
	event_drop(client->bell);

	export_drop_all(client);
	graph_drop(&broker->graph, &client->waits);
	for (uint32_t number = 1; number < client->handles_size; number++) {
		if (client->handles[number]) {
			handle_destroy(client->handles[number]);
		}
	}
	client_objects_destroy(client);
	free(client->handles);
	client_outbox_finish(client);
	page_unref(client->pair);
	if (client->doorbell >= 0) {
		close(client->doorbell);
	}
	if (client->pidfd >= 0) {
		close(client->pidfd);
	}
	/* Packets nobody read may hold fds whose close blocks: not here. */
	closer_close(&broker->closer, client->socket);
	charge_release(&client->fd_charge);
	charge_release(&client->charge);
	user_unref(client->user);
	LIST_REMOVE(client, links);
	broker->client_count--;
	free(client);
}
