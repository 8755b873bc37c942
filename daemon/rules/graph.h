// SPDX-License-Identifier: MIT
/*
 * The wait-for graph. An edge says: `point` is reached only after `on`. A timeline's values only grow,
 * so `on` in turn needs everything that the points up to it wait for. A new edge closes a cycle when a path
 * leads from `on` to the timeline of `point`, at its value or above. Such an edge is refused, so the graph
 * never has a cycle.
 *
 * An edge is on a list of its owner, which drops it when the wait is over, and is charged to a user. The
 * graph removes it when one of its points is decided. A timeline without edges costs nothing. The graph
 * knows timelines by address and never dereferences them. Loop's thread only.
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

/* The edges of one owner; all zero while empty. Must not move while it has some. */
LIST_HEAD(graph_edges, graph_edge);

/*
 * How far the search for a cycle goes: this many edges onwards from `on`, and as many back from `point`.
 * Where either direction runs out of edges there is no cycle. A client can cause a full search with each
 * request, which takes some tens of microseconds.
 */
#define GRAPH_SEARCH_MAX 1024

struct graph {
	struct graph_node **buckets;
	size_t bucket_count; /* a power of two, or 0 */
	size_t node_count, edge_count;
	uint64_t search; /* number of the last search */
	uint64_t ends;   /* edge ends made so far */
	unsigned int search_max;
};

/* `point`, `on`, the point that `on` waits for, and so on, up to one at or above `point`. */
#define GRAPH_CYCLE_MAX 16
struct graph_cycle {
	struct graph_point points[GRAPH_CYCLE_MAX];
	unsigned int count;
	bool more; /* the cycle is longer; the rest is left out */
};

void graph_init(struct graph *graph);
void graph_finish(struct graph *graph); /* must be empty */

/*
 * Add an edge; the caller knows no better than that `on` is not reached. A point waits for the earlier
 * points of its own timeline anyhow: 0, and no edge is made.
 *   -EDEADLK  it would close a cycle, which `ret_cycle` lists
 *   -ELOOP    the search ended at GRAPH_SEARCH_MAX without an answer
 *   -EDQUOT   the user's limit of `edges` is reached   -ENOMEM
 */
int graph_add(struct graph *graph, struct graph_point point, struct graph_point on,
	      struct user *user, struct graph_edges *owner, struct graph_cycle *ret_cycle);

/* Drop all edges of the owner. */
void graph_drop(struct graph *graph, struct graph_edges *owner);

/* All points up to `value` are reached. UINT64_MAX: the others failed, or the timeline ends. */
void graph_decided(struct graph *graph, const struct timeline *timeline, uint64_t value);
