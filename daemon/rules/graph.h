// SPDX-License-Identifier: MIT
/*
 * The wait-for graph. An edge says: `point` is reached only after `on`. A timeline's values only grow,
 * so `on` in turn needs all that the points up to it wait for, and a cycle is closed when from `on`
 * one comes to the timeline of `point`, at its value or above. Such an edge is refused, so there is
 * never a cycle in here.
 *
 * An edge belongs to a list of its owner's, who drops it when what it stands for is over, and is
 * charged to a user. It also goes by itself when one of its points is decided. Timelines that have no
 * edge cost nothing. Knows timelines by their address alone. Loop's thread only.
 */
#pragma once

#include <bsd/sys/queue.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "account.h"

struct graph_edge;
struct graph_node;
struct timeline;

struct graph_point {
	struct timeline *timeline;
	uint64_t value;
};

/* Of one owner; all zero while there are none. Stays where it is while there are some. */
LIST_HEAD(graph_edges, graph_edge);

/*
 * How far is looked for a cycle: as many edges onwards from `on`, and as many back from `point`. Where
 * one of these ends there is no cycle. A client may make the daemon look so far with each request: that
 * takes some tens of microseconds.
 */
#define GRAPH_SEARCH_MAX 1024

struct graph {
	struct graph_node **buckets;
	size_t bucket_count; /* a power of two, or 0 */
	size_t node_count, edge_count;
	uint64_t search; /* number of the last */
	uint64_t ends;   /* of edges, ever */
	unsigned int search_max;
};

/* `point`, `on`, what that waits for, and so on, up to one that comes with or after `point`. */
#define GRAPH_CYCLE_MAX 16
struct graph_cycle {
	struct graph_point points[GRAPH_CYCLE_MAX];
	unsigned int count;
	bool more; /* it is longer; the last is left out */
};

void graph_init(struct graph *graph);
void graph_finish(struct graph *graph); /* empty by then */

/*
 * `on` is not reached, as far as is known. A point that waits for one before it on its own timeline
 * does so anyhow: 0, and no edge is made.
 *   -EDEADLK  it would close a cycle: `ret_cycle` says which
 *   -ELOOP    GRAPH_SEARCH_MAX was not enough to tell
 *   -EDQUOT   the user has all `edges` of his limit   -ENOMEM
 */
int graph_add(struct graph *graph, struct graph_point point, struct graph_point on,
	      struct user *user, struct graph_edges *owner, struct graph_cycle *ret_cycle);

/* All that the owner has. */
void graph_drop(struct graph *graph, struct graph_edges *owner);

/* All points up to `value` are reached. UINT64_MAX: all others failed, or the timeline goes. */
void graph_decided(struct graph *graph, const struct timeline *timeline, uint64_t value);
