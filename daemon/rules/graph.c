// SPDX-License-Identifier: MIT
#include "graph.h"

#include <assert.h>
#include <bsd/sys/tree.h>
#include <errno.h>
#include <stdlib.h>

#include "proto/container.h"

#define BUCKETS_MIN 64

/*
 * Both directions along the edges are one search. Onwards, a point leads to the edges of smaller or
 * equal `point`, and by them to their `on`. Back, a point leads to the edges of greater or equal `on`,
 * and by them to their `point`; with all values inverted these are smaller or equal again. So each
 * timeline has a tree of edges for either direction, ordered by the (inverted) value at this end, and
 * a search looks at a range of the tree from its start.
 */
enum way { ONWARDS, BACK, WAYS };

static uint64_t way_bound(enum way way, uint64_t value)
{
	return way == ONWARDS ? value : ~value;
}

struct edge_end {
	RB_ENTRY(edge_end) node;
	uint64_t bound;
	uint64_t number; /* orders equal bounds: the older first */
};

RB_HEAD(edge_tree, edge_end);

struct graph_edge {
	struct edge_end ends[WAYS]; /* in the tree of nodes[way] */
	struct graph_node *nodes[WAYS];
	LIST_ENTRY(graph_edge) links; /* of the owner */
	struct charge charge;
};

/* The state of a node in the search with this number; older marks are void. */
struct mark {
	uint64_t search;
	uint64_t bound;  /* the search must look at the edges up to this bound */
	uint64_t looked; /* and has looked at those up to this one */
	struct graph_edge *via;
	struct graph_node *next; /* queued */
	bool queued;
};

struct graph_node {
	struct graph_node *chain; /* the next in its bucket */
	const struct timeline *timeline;
	unsigned int refs; /* one for each edge end, and one for each node_hold() */
	struct edge_tree edges[WAYS];
	struct mark marks[WAYS];
};

static int end_compare(const struct edge_end *a, const struct edge_end *b)
{
	if (a->bound != b->bound) {
		return a->bound < b->bound ? -1 : 1;
	}
	return (a->number > b->number) - (a->number < b->number);
}

RB_GENERATE_INTERNAL(edge_tree, edge_end, node, end_compare, __attribute__((unused)) static)

/* The first end whose bound is above. */
static struct edge_end *end_above(struct edge_tree *tree, uint64_t bound)
{
	struct edge_end key = { .bound = bound, .number = UINT64_MAX };
	return RB_NFIND(edge_tree, tree, &key);
}

static struct graph_edge *edge_at(struct edge_end *end, enum way way)
{
	return container_of(end - way, struct graph_edge, ends[0]);
}

static enum way other_way(enum way way)
{
	return way == ONWARDS ? BACK : ONWARDS;
}

/* ------------------------------------------------------------------------------- nodes and edges -- */

void graph_init(struct graph *graph)
{
	*graph = (struct graph){ .search_max = GRAPH_SEARCH_MAX };
}

void graph_finish(struct graph *graph)
{
	assert(graph->node_count == 0 && graph->edge_count == 0);
	free(graph->buckets);
	graph->buckets = NULL;
	graph->bucket_count = 0;
}

static struct graph_node **graph_bucket(const struct graph *graph, const struct timeline *timeline)
{
	/* the high bits of a product with an odd number depend on all bits of the address */
	uint64_t hash = (uint64_t)(uintptr_t)timeline * UINT64_C(0x9e3779b97f4a7c15);
	return &graph->buckets[(hash >> 32) & (graph->bucket_count - 1)];
}

static struct graph_node *node_find(const struct graph *graph, const struct timeline *timeline)
{
	if (graph->node_count == 0) {
		return NULL;
	}
	struct graph_node *node = *graph_bucket(graph, timeline);
	while (node && node->timeline != timeline) {
		node = node->chain;
	}
	return node;
}

/* Doubles the buckets. When out of memory the chains get longer instead. */
static void graph_grow(struct graph *graph)
{
	struct graph old = *graph;
	size_t count = old.bucket_count ? 2 * old.bucket_count : BUCKETS_MIN;
	struct graph_node **buckets = calloc(count, sizeof(struct graph_node *));
	if (!buckets) {
		return;
	}
	graph->buckets = buckets;
	graph->bucket_count = count;
	for (size_t i = 0; i < old.bucket_count; i++) {
		struct graph_node *next;
		for (struct graph_node *node = old.buckets[i]; node; node = next) {
			struct graph_node **bucket = graph_bucket(graph, node->timeline);
			next = node->chain;
			node->chain = *bucket;
			*bucket = node;
		}
	}
	free(old.buckets);
}

/* A reference to the node of this timeline, which is made where there is none. */
static struct graph_node *node_hold(struct graph *graph, const struct timeline *timeline)
{
	struct graph_node *node = node_find(graph, timeline);
	if (node) {
		node->refs++;
		return node;
	}
	if (graph->node_count >= graph->bucket_count) {
		graph_grow(graph);
	}
	node = graph->bucket_count > 0 ? calloc(1, sizeof(*node)) : NULL;
	if (!node) {
		return NULL;
	}
	struct graph_node **bucket = graph_bucket(graph, timeline);
	node->timeline = timeline;
	node->refs = 1;
	node->chain = *bucket;
	*bucket = node;
	graph->node_count++;
	return node;
}

static void node_release(struct graph *graph, struct graph_node *node)
{
	if (!node || --node->refs > 0) {
		return;
	}
	struct graph_node **at = graph_bucket(graph, node->timeline);
	while (*at != node) {
		at = &(*at)->chain;
	}
	*at = node->chain;
	graph->node_count--;
	free(node);
}

static void edge_end(struct graph *graph, struct graph_edge *edge, enum way way,
		     struct graph_node *node, uint64_t value)
{
	node->refs++;
	edge->nodes[way] = node;
	edge->ends[way].bound = way_bound(way, value);
	edge->ends[way].number = graph->ends++;
	RB_INSERT(edge_tree, &node->edges[way], &edge->ends[way]);
}

static void edge_destroy(struct graph *graph, struct graph_edge *edge)
{
	for (enum way way = ONWARDS; way < WAYS; way++) {
		RB_REMOVE(edge_tree, &edge->nodes[way]->edges[way], &edge->ends[way]);
		node_release(graph, edge->nodes[way]);
	}
	LIST_REMOVE(edge, links);
	charge_release(&edge->charge);
	graph->edge_count--;
	free(edge);
}

/* ------------------------------------------------------------------------------------ the search -- */

struct search {
	enum way way;
	uint64_t number;
	const struct graph_node *goal;
	uint64_t goal_bound;
	struct graph_node *first, **last; /* queued */
	struct edge_end *at;              /* the next edge of the current node */
	uint64_t bound;                   /* of the current node */
};

static void search_queue(struct search *search, struct graph_node *node)
{
	struct mark *mark = &node->marks[search->way];
	if (mark->queued) {
		return;
	}
	mark->queued = true;
	mark->next = NULL;
	*search->last = node;
	search->last = &mark->next;
}

/* The search reaches a node. A higher bound than before adds edges to look at. The path of this visit
 * leads to the edges of the earlier visits too, so one `via` is enough. */
static void search_reach(struct search *search, struct graph_node *node, uint64_t bound,
			 struct graph_edge *via)
{
	struct mark *mark = &node->marks[search->way];
	if (mark->search != search->number) {
		*mark = (struct mark){ .search = search->number };
	}
	if (bound > mark->bound) {
		mark->bound = bound;
		mark->via = via;
		search_queue(search, node);
	}
}

static void search_init(struct search *search, uint64_t number, enum way way,
			struct graph_node *start, uint64_t value, const struct graph_node *goal,
			uint64_t goal_value)
{
	*search = (struct search){
		.way = way, .number = number, .goal = goal, .goal_bound = way_bound(way, goal_value)
	};
	search->last = &search->first;
	search_reach(search, start, way_bound(way, value), NULL);
}

/* The next edge to look at; NULL when there is none left. */
static struct edge_end *search_next(struct search *search)
{
	while (!search->at || search->at->bound > search->bound) {
		struct graph_node *node = search->first;
		if (!node) {
			return NULL;
		}
		struct mark *mark = &node->marks[search->way];
		search->first = mark->next;
		if (!search->first) {
			search->last = &search->first;
		}
		mark->queued = false;
		search->bound = mark->bound;
		search->at = end_above(&node->edges[search->way], mark->looked);
		mark->looked = mark->bound;
	}
	struct edge_end *end = search->at;
	search->at = RB_NEXT(edge_tree, NULL, end);
	return end;
}

/* Look at one more edge. 0: go on; 1: no edge is left; -EDEADLK: the goal is reached. */
static int search_step(struct search *search)
{
	struct edge_end *end = search_next(search);
	if (!end) {
		return 1;
	}
	enum way other = other_way(search->way);
	struct graph_edge *edge = edge_at(end, search->way);
	struct graph_node *node = edge->nodes[other];
	uint64_t bound = ~edge->ends[other].bound;
	search_reach(search, node, bound, edge);
	return node == search->goal && bound >= search->goal_bound ? -EDEADLK : 0;
}

static void cycle_add(struct graph_cycle *cycle, const struct timeline *timeline, uint64_t value)
{
	if (cycle->count == GRAPH_CYCLE_MAX) {
		cycle->more = true;
		return;
	}
	cycle->points[cycle->count++] = (struct graph_point){ (struct timeline *)timeline, value };
}

/* The `on` of an edge. */
static void cycle_add_edge(struct graph_cycle *cycle, const struct graph_edge *edge)
{
	cycle_add(cycle, edge->nodes[BACK]->timeline, ~edge->ends[BACK].bound);
}

/* The marks lead from the goal of a search to its start. Those of the search back give the cycle in order.
 * Those of the search onwards are reversed first, into the marks of the search back, which is over. */
static void cycle_describe(struct graph_cycle *cycle, const struct search *search,
			   struct graph_node *start, struct graph_node *goal)
{
	const struct graph_edge *edge;
	if (search->way == ONWARDS) {
		struct graph_edge *via = NULL;
		struct graph_node *node = goal;
		while ((via = node->marks[ONWARDS].via)) {
			node = via->nodes[ONWARDS];
			node->marks[BACK].via = via;
		}
		assert(node == start);
		goal = start;
		start = (struct graph_node *)search->goal;
	}
	for (const struct graph_node *node = goal; node != start; node = edge->nodes[BACK]) {
		edge = node->marks[BACK].via;
		cycle_add_edge(cycle, edge);
	}
}

/* 0, -EDEADLK or -ELOOP. */
static int graph_search(struct graph *graph, struct graph_node *from, uint64_t value,
			struct graph_node *on, uint64_t on_value, struct graph_cycle *cycle)
{
	struct search searches[WAYS];
	graph->search++;
	search_init(&searches[ONWARDS], graph->search, ONWARDS, on, on_value, from, value);
	search_init(&searches[BACK], graph->search, BACK, from, value, on, on_value);
	for (unsigned int steps = 0; steps <= graph->search_max; steps++) {
		for (enum way way = ONWARDS; way < WAYS; way++) {
			int r = search_step(&searches[way]);
			if (r == -EDEADLK) {
				cycle_describe(cycle, &searches[way], way == ONWARDS ? on : from,
					       way == ONWARDS ? from : on);
			}
			if (r != 0) {
				return r < 0 ? r : 0;
			}
		}
	}
	return -ELOOP;
}

/* ---------------------------------------------------------------------------------- interface ----- */

static int edge_create(struct graph *graph, struct graph_node *from, uint64_t value,
		       struct graph_node *on, uint64_t on_value, struct user *user,
		       struct graph_edges *owner)
{
	struct graph_edge *edge = calloc(1, sizeof(*edge));
	if (!edge) {
		return -ENOMEM;
	}
	int r = charge_take(&edge->charge, user, ACCOUNT_EDGES, 1);
	if (r < 0) {
		free(edge);
		return r;
	}
	edge_end(graph, edge, ONWARDS, from, value);
	edge_end(graph, edge, BACK, on, on_value);
	LIST_INSERT_HEAD(owner, edge, links);
	graph->edge_count++;
	return 0;
}

static int graph_add_between(struct graph *graph, struct graph_point point, struct graph_point on,
			     struct user *user, struct graph_edges *owner,
			     struct graph_cycle *cycle)
{
	struct graph_node *from = node_hold(graph, point.timeline);
	struct graph_node *to = node_hold(graph, on.timeline);
	int r = from && to ? 0 : -ENOMEM;
	if (r == 0) {
		r = graph_search(graph, from, point.value, to, on.value, cycle);
	}
	if (r == 0) {
		r = edge_create(graph, from, point.value, to, on.value, user, owner);
	}
	node_release(graph, to);
	node_release(graph, from);
	return r;
}

int graph_add(struct graph *graph, struct graph_point point, struct graph_point on,
	      struct user *user, struct graph_edges *owner, struct graph_cycle *ret_cycle)
{
	struct graph_cycle cycle = { .points = { point, on }, .count = 2 };
	int r;
	if (point.timeline == on.timeline) {
		r = on.value >= point.value ? -EDEADLK : 0;
	} else {
		r = graph_add_between(graph, point, on, user, owner, &cycle);
	}
	if (r == -EDEADLK) {
		*ret_cycle = cycle;
	}
	return r;
}

void graph_drop(struct graph *graph, struct graph_edges *owner)
{
	while (!LIST_EMPTY(owner)) {
		edge_destroy(graph, LIST_FIRST(owner));
	}
}

void graph_decided(struct graph *graph, const struct timeline *timeline, uint64_t value)
{
	struct graph_node *node = node_find(graph, timeline);
	struct edge_end *end;
	if (!node) {
		return;
	}
	node->refs++;
	while ((end = RB_MIN(edge_tree, &node->edges[ONWARDS])) && end->bound <= value) {
		edge_destroy(graph, edge_at(end, ONWARDS));
	}
	while ((end = RB_MAX(edge_tree, &node->edges[BACK])) &&
	       end->bound >= way_bound(BACK, value)) {
		edge_destroy(graph, edge_at(end, BACK));
	}
	node_release(graph, node);
}
