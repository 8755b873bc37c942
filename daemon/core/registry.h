// SPDX-License-Identifier: MIT
/*
 * What the nouns of the core share: the services that they call, and the lists of all that lives. Made and
 * filled in by daemon.c, which also says who observes what and in which order. Loop's thread only.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "daemon/rules/account.h"
#include "client/include/fencebroker.h"
#include "daemon/base/closer.h"
#include "daemon/base/counters.h"
#include "daemon/rules/graph.h"
#include <bsd/sys/queue.h>
#include "daemon/base/loop.h"
#include "daemon/rules/policy.h"
#include "proto/classify.h"

struct client;
struct device;
struct handle;
struct link;
struct log_charge;
struct timeline;
struct token;
struct wait;
struct watcher;

/*
 * What is above a noun learns of its end by an observer, so that no noun calls upwards. NULL: not interested.
 * Each noun has at most one; they are called in the order in which daemon.c lists them.
 */
struct observer {
	/* Everything that it owns ends now; `cause` is that of its timelines. */
	void (*client_ended)(struct client *client, enum fbk_cause cause);
	/* Its timeline has failed by now, where the client was the signaler. */
	void (*handle_closed)(struct handle *handle, enum fbk_cause cause);
	void (*device_unregistered)(struct device *device);
	void (*timeline_failed)(struct timeline *timeline);
};

/* Who says why a wait takes so long. */
struct blame_ops {
	/* Its deadline passed, and its point is undecided. */
	void (*expired)(const struct wait *wait);
	/* Why that point is not reached, in words. */
	void (*describe)(struct timeline *timeline, uint64_t value, char *ret_text, size_t size);
};

#define REGISTRY_TOKEN_BUCKETS 256

struct registry {
	struct loop loop;
	struct closer closer;
	struct account *account;
	struct policy *policy;
	struct classifier classifier;
	struct graph graph;      /* who waits for whom */
	struct watcher *watcher; /* NULL: policy leaves it no CPU time */
	int udmabuf;             /* udmabuf_open() */
	uint64_t features;       /* of this machine: bits of enum fbk_feature */
	uint64_t started_ns;
	uint64_t base_fds; /* open before the first client */
	uint64_t fd_limit;
	bool ending;                             /* nothing is kept any more */
	const struct observer *const *observers; /* ends with NULL */
	const struct blame_ops *blame;

	LIST_HEAD(, client) clients;                       /* newest first: ids fall */
	LIST_HEAD(, device) devices;                       /* the same */
	LIST_HEAD(, timeline) timelines;                   /* the same */
	LIST_HEAD(, link) links;                           /* the same */
	LIST_HEAD(, token) tokens[REGISTRY_TOKEN_BUCKETS]; /* by inode */
	LIST_HEAD(, log_charge) log_charges;
	uint32_t client_count, device_count, timeline_count;
	unsigned int bells_in_a_row; /* since a request was served */
	uint64_t arm_ns;             /* when the last point was armed: no two at the same time */
	uint64_t next_id;            /* of clients, devices, timelines, pages, sets, links */
	struct counters counters;
};

uint64_t registry_new_id(struct registry *registry);

/* File descriptors that may still be opened, beyond what is charged and queued for closing. */
uint64_t registry_free_fds(const struct registry *registry);

/* Call all observers that are interested. */
void registry_client_ended(struct registry *registry, struct client *client, enum fbk_cause cause);
void registry_handle_closed(struct registry *registry, struct handle *handle, enum fbk_cause cause);
void registry_device_unregistered(struct registry *registry, struct device *device);
void registry_timeline_failed(struct registry *registry, struct timeline *timeline);
