// SPDX-License-Identifier: MIT
/*
 * A pairing heap of nodes that are embedded in what is ordered: it allocates nothing and can't
 * fail. Nodes belong to the caller and must stay where they are while linked. Not thread-safe: a
 * heap is used by the thread of its owner only.
 *
 * Nodes of equal keys come out in an order that is not specified (neither first-in first-out nor
 * the reverse), but each comes out once.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* All zero while unlinked. */
struct heap_node {
	struct heap_node *child; /* the first one */
	struct heap_node *next;  /* sibling */
	struct heap_node *prev;  /* sibling; of a first child, the parent */
	uint64_t key;
};

struct heap {
	struct heap_node *root;
};

/* Constant time. The node must not be linked anywhere. */
void heap_insert(struct heap *heap, struct heap_node *node, uint64_t key);

/* Any node of this heap, not only the smallest; amortised logarithmic. Leaves it all zero. */
void heap_remove(struct heap *heap, struct heap_node *node);

/* The node of the smallest key, NULL when empty. */
struct heap_node *heap_min(const struct heap *heap);

/* Of a node that is in this heap or in none. */
bool heap_node_linked(const struct heap *heap, const struct heap_node *node);
