// SPDX-License-Identifier: MIT
/*
 * Who calls over the bus: each unique name with the credentials that the bus vouches for. Names are never used twice
 * while a bus runs, so what is known of one stays true. A call from a name that is new is kept until the bus has
 * said who that is; with it all that the same name sends after it. So each call that sd-bus hands out has a caller
 * whose user is known. Loop's thread only.
 */
#pragma once

#include <bsd/sys/queue.h>
#include <bsd/sys/tree.h>
#include <stdbool.h>
#include <stdint.h>
#include <systemd/sd-bus.h>

#include "bus-gate.h"
#include "daemon/core/client.h"
#include "stuck.h"

#define BUS_PEERS_MAX         512 /* that are only remembered */
#define BUS_KEPT_MAX          32  /* calls, until their callers are known */
#define BUS_KEPT_FDS_MAX      64
#define BUS_KEPT_PER_PEER_MAX 8

struct bus_kept;
struct bus_peers;
struct bus_transport;

struct bus_peer {
	RB_ENTRY(bus_peer) by_name;
	TAILQ_ENTRY(bus_peer) links; /* while it is unpinned: the longest unused first */
	TAILQ_ENTRY(bus_peer) ready_links;
	struct bus_peers *peers;
	bool known;
	sd_bus_slot *asked;             /* the bus, who it is */
	struct credentials credentials; /* with a pidfd until its first calls are served */
	struct policy_subject subject;
	TAILQ_HEAD(, bus_kept) kept;
	unsigned int kept_count;
	unsigned int pins;
	sd_bus_slot *gone;    /* while it is pinned: the match that tells */
	sd_bus_slot *present; /* whether it was there when that match began */
	struct stuck_place stuck_place;
	uint64_t stuck_next; /* the number of that place; 0: none */
	char name[];
};

struct bus_peers {
	struct bus_transport *transport;
	void (*gone)(struct bus_peer *peer); /* a pinned one has left the bus */
	RB_HEAD(bus_peer_tree, bus_peer) tree;
	TAILQ_HEAD(bus_peer_list, bus_peer) unpinned, ready;
	unsigned int count, kept_count, kept_fds;
};

void bus_peers_init(struct bus_peers *peers, struct bus_transport *transport);

/* For struct bus_transport_ops. */
bool bus_peers_admit(struct bus_peers *peers, const struct bus_message *message);
void bus_peers_turned(struct bus_peers *peers);
void bus_peers_lost(struct bus_peers *peers); /* frees all of them */

/* Who sent this; NULL: nobody that is known. */
struct bus_peer *bus_peer_of(struct bus_peers *peers, sd_bus_message *message);

/* Keep it, and call `gone` when it leaves the bus. 0 or a negative errno. */
int bus_peer_pin(struct bus_peer *peer);
void bus_peer_unpin(struct bus_peer *peer);
