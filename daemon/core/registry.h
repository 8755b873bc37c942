// SPDX-License-Identifier: MIT
/*
 * What the nouns of the core share: the services that they call, and the lists of all living objects. daemon.c makes
 * it, fills it in, and lists the observers in their order. Loop's thread only.
 */
#pragma once

#include <bsd/sys/queue.h>
#include <stdbool.h>
#include <stdint.h>

#include "client/include/fencebroker.h"
#include "daemon/base/closer.h"
#include "daemon/base/counters.h"
#include "daemon/base/loop.h"
#include "daemon/rules/account.h"
#include "daemon/rules/graph.h"
#include "daemon/rules/policy.h"
#include "proto/classify.h"

struct client;
struct device;
struct handle;
struct link;
struct link_holder;
struct log_charge;
struct timeline;
struct token;
struct wait;
struct watcher;

/*
 * A noun learns by its observer that an object below it ended, so that no noun calls upwards. Each noun has one
 * observer at most. They are called in the order in which daemon.c lists them. NULL: not interested.
 */
struct observer {
	/* Everything that the client owns ends now; its timelines fail with `cause`. */
	void (*client_ended)(struct client *client, enum fbk_cause cause);
	/* If the client was the signaler, the timeline has failed before this. */
	void (*handle_closed)(struct handle *handle, enum fbk_cause cause);
	void (*device_registered)(struct device *device);
	void (*device_unregistered)(struct device *device);
	void (*timeline_failed)(struct timeline *timeline);
};

/* How the core asks blame, which lies above it, why a wait takes so long. */
struct blame_ops {
	/* The wait's deadline passed, and its point is undecided: log the blame. */
	void (*expired)(const struct wait *wait);
	/* The same of a wait that goes on all the same. */
	void (*late)(const struct wait *wait);
	/* Why this point is not reached, in words. */
	void (*describe)(struct timeline *timeline, uint64_t value, char *ret_text, size_t size);
};

/* The tokens by their inode numbers; token.c. */
struct token_table {
	LIST_HEAD(token_list, token) * buckets; /* a power of two of them, or NULL */
	uint32_t size, count;
};

struct registry {
	struct loop loop;
	struct closer closer;
	struct account *account;
	struct policy *policy;
	struct classifier classifier;
	struct graph graph;      /* the wait-for graph */
	struct watcher *watcher; /* NULL: policy leaves it no CPU time */
	int udmabuf;             /* udmabuf_open() */
	struct page *life;       /* life.c */
	uint64_t features;       /* of this machine: bits of enum fbk_feature */
	uint8_t instance[16];    /* random: tells this run from others */
	uint64_t started_ns;
	uint64_t base_fds; /* open before the first client */
	uint64_t fd_limit;
	bool ending;                             /* the daemon ends: no guard is made any more */
	const struct observer *const *observers; /* ends with NULL */
	const struct blame_ops *blame;

	LIST_HEAD(, client) clients;      /* newest first, by falling id */
	LIST_HEAD(, device) devices;      /* the same */
	LIST_HEAD(, timeline) timelines;  /* the same */
	LIST_HEAD(, link) links;          /* the same */
	LIST_HEAD(, link_holder) holders; /* see link-hold.c */
	struct token_table tokens;
	LIST_HEAD(, log_charge) log_charges;
	LIST_HEAD(, refusal) refusals; /* of connections; see refusal.c */
	uint32_t client_count, device_count, timeline_count;
	unsigned int bells_in_a_row; /* since a request was served */
	uint64_t arm_ns;             /* when the last point was armed; unique for each arm */
	uint64_t next_id;            /* of clients, devices, timelines, pages, sets, links */
	struct counters counters;
};

uint64_t registry_new_id(struct registry *registry);

/* File descriptors that may still be opened: the limit less those charged and those queued for closing. */
uint64_t registry_free_fds(const struct registry *registry);

/* Call the observers that are interested. */
void registry_client_ended(struct registry *registry, struct client *client, enum fbk_cause cause);
void registry_handle_closed(struct registry *registry, struct handle *handle, enum fbk_cause cause);
void registry_device_registered(struct registry *registry, struct device *device);
void registry_device_unregistered(struct registry *registry, struct device *device);
void registry_timeline_failed(struct registry *registry, struct timeline *timeline);
