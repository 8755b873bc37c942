// SPDX-License-Identifier: MIT
/*
 * A client: who it is, and everything that it owns. How it speaks is its connection's business: that makes the
 * client, from credentials that the kernel or the bus vouches for, and ends it, for a cause that it states.
 * Loop's thread only.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/rules/account.h"
#include "bell.h"
#include "client/include/fencebroker.h"
#include "daemon/rules/graph.h"
#include <bsd/sys/queue.h>
#include <bsd/sys/tree.h>
#include "daemon/rules/policy.h"
#include "registry.h"

struct handle;

#define CLIENT_GROUPS_MAX 64

/* Who somebody is, at the moment of connecting. */
struct credentials {
	pid_t pid;
	uid_t uid;
	gid_t gid;
	gid_t groups[CLIENT_GROUPS_MAX];
	size_t group_count;
	int pidfd;
	char unit[64]; /* of the service manager's; "" for none */
};

struct client {
	LIST_ENTRY(client) links; /* of the registry */
	struct registry *registry;
	uint64_t id;
	char name[FBK_NAME_SIZE]; /* as it calls itself; "" until it does */
	struct credentials credentials;
	struct policy_subject subject; /* the same, for policy */
	bool greeted;                  /* its Hello was answered */
	bool ending;                   /* nothing is told to it any more */

	struct user *user;
	struct charge charge;
	struct charge fd_charge;
	struct charge timelines_charge; /* that it signals */
	struct charge handles_charge;

	struct bell bell;
	struct handle **handles; /* by number; grows */
	uint32_t handles_size;
	uint32_t handle_hint; /* where to look for a free number */
	uint32_t next_object; /* its number for a device, set or mirror */
	LIST_HEAD(, device) devices;
	LIST_HEAD(, client_set) sets;
	LIST_HEAD(, peer) peers; /* pages with signalers whose points it waits for */
	LIST_HEAD(, export) exports;
	LIST_HEAD(, export) promises; /* that it asked for */
	LIST_HEAD(, mirror) mirrors;
	struct graph_edges waits;             /* that it declared */
	RB_HEAD(watch_tree, watch) watches;   /* by the client's number */
	TAILQ_HEAD(watch_queue, watch) fired; /* not yet told */
	/* Some watch has fired; set by its connection. NULL: it has none. */
	void (*notify)(struct client *client);
	void *connection;
};

/* Takes credentials->pidfd, also when it fails. */
int client_create(struct registry *registry, const struct credentials *credentials,
		  struct client **ret_client);

/* What it costs by merely being there: charged before it is served. -EDQUOT, -ENFILE. */
int client_admit(struct client *client);

/* All that it owns ends: its timelines fail with this cause. Frees it. */
void client_end(struct client *client, enum fbk_cause cause);

/* -ENOSPC when all cells of its pair page are in use. */
int client_add_handle(struct client *client, struct handle *handle, uint32_t *ret_number);
void client_remove_handle(struct client *client, uint32_t number);
struct handle *client_handle(const struct client *client, uint32_t number); /* or NULL */

/* "name (pid 12, uid 1000)" for messages; valid until the next call. */
const char *client_label(const struct client *client);
