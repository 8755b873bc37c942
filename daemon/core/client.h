// SPDX-License-Identifier: MIT
/*
 * A client: who it is, and everything that it owns. How it speaks is its connection: that creates the client, with
 * credentials that the kernel vouches for, and ends it with a cause. Loop's thread only.
 */
#pragma once

#include <bsd/sys/queue.h>
#include <bsd/sys/tree.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "bell.h"
#include "client/include/fencebroker.h"
#include "daemon/rules/account.h"
#include "daemon/rules/graph.h"
#include "daemon/rules/policy.h"
#include "registry.h"

struct handle;

#define CLIENT_GROUPS_MAX 64

/* Who the peer was at the moment of connecting. */
struct credentials {
	pid_t pid;
	uid_t uid;
	gid_t gid;
	gid_t groups[CLIENT_GROUPS_MAX];
	size_t group_count;
	int pidfd;
	char unit[64]; /* of the service manager; "" for none */
	bool inspects; /* the address of its socket says that it only inspects and administers */
};

struct client {
	LIST_ENTRY(client) links; /* of the registry */
	struct registry *registry;
	uint64_t id;
	char name[FBK_NAME_SIZE]; /* the name in its Hello; "" before that */
	struct credentials credentials;
	struct policy_subject subject; /* the same, for policy */
	bool greeted; /* it may make requests: its Hello was answered, or it came over the bus */
	bool said_hello;
	uint64_t features; /* that it was told of */
	bool ending;       /* it gets no more notifications */
	bool admin;        /* may fail timelines, evict clients and reload the policy */
	bool reserve;      /* charged to the reserve: it can make nothing */
	uint64_t since_ns; /* it came */

	struct user *user;
	struct charge charge;
	struct charge fd_charge;
	struct charge timelines_charge; /* those that it signals */
	struct charge handles_charge;

	struct bell bell;
	struct handle **handles; /* by number; grows */
	uint32_t handles_size;
	uint32_t bus_ids; /* how many ids the bus has chosen for it */
	LIST_HEAD(, device) devices;
	LIST_HEAD(, client_set) sets;
	TAILQ_HEAD(, token) tokens; /* that it asked for of others' timelines, oldest first */
	uint32_t token_count;
	LIST_HEAD(, peer) peers; /* pages that it shares with signalers for whose points it waits */
	LIST_HEAD(, export) exports;
	LIST_HEAD(, export) promises; /* those that it asked for */
	LIST_HEAD(, mirror) mirrors;
	struct graph_edges waits; /* those that it declared */
	RB_HEAD(export_tree, export) export_ids;
	RB_HEAD(token_tree, token) token_ids;
	RB_HEAD(watch_tree, watch) watches; /* by the client's number */
	uint32_t watch_count;
	TAILQ_HEAD(watch_queue, watch) fired; /* not notified yet */
	/* A watch has fired. The connection sets this; NULL: the client has none. */
	void (*notify)(struct client *client);
	void *connection;
};

/* Takes credentials->pidfd, also when it fails. */
int client_create(struct registry *registry, const struct credentials *credentials,
		  struct client **ret_client);

/* The user of those credentials, with a reference. 0 or -ENOMEM. */
int client_user_ref(struct registry *registry, const struct credentials *credentials,
		    struct user **ret_user);

/* The policy is new: it sets the limits of all users. As before, a user's oldest client decides. */
void clients_set_limits(struct registry *registry);

/* Charge what every client costs, before it is served. -EDQUOT, -ENFILE. */
int client_admit(struct client *client);

/* Its user is at a limit, and it is an administrator that has made nothing yet: charge it to the reserve instead. -EDQUOT:
 * others use that up. */
int client_use_reserve(struct client *client);

/* May it use the reserve after this error? */
bool client_may_use_reserve(const struct client *client, int error);

/* End everything that the client owns; its timelines fail with this cause. Frees the client. */
void client_end(struct client *client, enum fbk_cause cause);

/* The number is free, and below FBK_PAIR_CELLS. */
int client_add_handle(struct client *client, struct handle *handle, uint32_t number);
void client_remove_handle(struct client *client, uint32_t number);
struct handle *client_handle(const struct client *client, uint32_t number); /* or NULL */

/* A client chooses the ids of what it has made; the bus does for its callers, from the other end: the highest handle that is
 * free (0: none), and an id of any other kind. */
uint32_t client_free_handle(const struct client *client);
uint32_t client_new_id(struct client *client);

/* "name (pid 12, uid 1000)" for messages; valid until the next call. */
const char *client_label(const struct client *client);
