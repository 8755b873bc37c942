// SPDX-License-Identifier: MIT
/*
 * One connected client: its credentials, its socket, the pair page and doorbell it shares with the
 * daemon, and everything it owns. Ends when the socket hangs up or its process exits, whichever
 * comes first, or when it sends what no client of ours would. Loop's thread only.
 */
#pragma once

#include <bsd/sys/queue.h>
#include <bsd/sys/tree.h>
#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "account.h"
#include "graph.h"
#include "page.h"
#include "policy.h"
#include "proto/fencebroker.pb-c.h"
#include "proto/wire.h"
#include "timeline.h"
#include "wheel.h"

struct broker;
struct handle;

#define CLIENT_GROUPS_MAX  64
#define CLIENT_REPLY_FDS   2
#define CLIENT_FLIGHT_MAX  8 /* fds that may lie in its socket, unread */
#define CLIENT_STARVING_NS (20 * NS_PER_MS)

/* The one reply that did not fit into the socket. While there is one, nothing more is read. */
struct client_reply {
	size_t size; /* 0: none */
	uint8_t *bytes;
	int fds[CLIENT_REPLY_FDS];
	size_t fd_count;
	struct charge charge;
};

struct client {
	LIST_ENTRY(client) links; /* of the broker: clients, or dying */
	struct broker *broker;
	uint64_t id;
	bool greeted; /* Hello was answered */
	bool closing; /* on `dying` */
	bool hangup_after_reply;
	bool left; /* it said goodbye: not a death */

	pid_t pid;
	char name[FBK_NAME_SIZE];
	char unit[64];
	struct policy_subject subject;
	gid_t groups[CLIENT_GROUPS_MAX];
	struct user *user;
	struct charge charge;
	struct charge fd_charge;
	struct charge timelines_charge; /* that it signals */
	struct charge handles_charge;

	int socket;
	int pidfd;
	int doorbell;
	struct event *readable, *writable, *exited, *bell;
	struct page *pair;
	struct client_reply reply;
	size_t flight;               /* fds sent since it had read all */
	uint64_t unread_since_ns;    /* nothing is taken from it for that reason; 0: it is */
	struct wheel_timer greeting; /* until Hello */
	struct wheel_timer starving; /* held back for a moment: try again */

	struct handle **handles; /* by number; grows */
	uint32_t handles_size;
	uint32_t handle_hint; /* where to look for a free number */
	uint32_t next_object;
	LIST_HEAD(, device) devices;
	LIST_HEAD(, client_set) sets;
	LIST_HEAD(, peer) peers; /* pages with signalers whose points it waits for */
	LIST_HEAD(, export) exports;
	LIST_HEAD(, export) promises; /* that it asked for */
	LIST_HEAD(, mirror) mirrors;
	struct graph_edges waits;             /* that it declared */
	RB_HEAD(watch_tree, watch) watches;   /* by the client's number */
	TAILQ_HEAD(watch_queue, watch) fired; /* to be told */
};

/* Takes the socket. Credentials are those of the moment it connected. */
int client_create(struct broker *broker, int socket, struct client **ret_client);

/* End it: moves to `dying` and is freed when the running callbacks have returned. `why` is logged
 * when not NULL. */
void client_end(struct client *client, const char *why);
void client_destroy(struct client *client);

/* Hello was accepted: make the pair page and the doorbell. */
int client_greet(struct client *client, const char *name);

static inline struct fbk_pair_page *client_pair(const struct client *client)
{
	return client->pair->memory;
}

/* Send a message with fds, which stay the caller's. */
void client_send(struct client *client, const Fbk__Wire__Message *message, const int *fds,
		 size_t fd_count);

/* Nothing that was sent keeps us from answering more: false when it has not read its replies. */
bool client_outbox_open(struct client *client);
void client_outbox_finish(struct client *client);
void client_writable(evutil_socket_t fd, short what, void *arg);

/* Say why this connection can't be had; it may have no user. */
void client_refuse(struct client *client, int error);

/* The sentence for an error that needs no other. `text` has FBK_REASON_SIZE bytes. */
void client_explain(const struct client *client, int error, char *text);

/* The daemon stops within that time. Not told where replies wait to be read: it will hang up. */
void client_tell_stopping(struct client *client, uint64_t within_ms);

/* There are fired watches to be told. */
void client_notify(struct client *client);

/* Wake who sleeps on this cell of its pair page, and who sleeps on all of them. */
void client_wake_cell(struct client *client, uint32_t number);

int client_handle_add(struct client *client, struct handle *handle);
void client_handle_remove(struct client *client, struct handle *handle);
struct handle *client_handle(const struct client *client, uint32_t number);

/* "name (pid 12, uid 1000)" for messages; valid until the next call. */
const char *client_label(const struct client *client);
