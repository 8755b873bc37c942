// SPDX-License-Identifier: MIT
/*
 * A search tree of nodes that are embedded in what is ordered: it allocates nothing and can't fail.
 * Balanced by random priorities, which the caller draws, so that nobody who chooses the keys chooses
 * its shape. It is walked by whoever knows what the order is: a new node is put below the one where
 * the search for it ended. Nodes must stay where they are while linked. One thread for each tree.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct tree_node {
	struct tree_node *left, *right, *parent;
	uint64_t key; /* the caller's; not looked at here */
	uint32_t priority;
};

struct tree {
	struct tree_node *root;
};

/* The next of a sequence; the state is not 0, and nobody else's to know. */
uint32_t tree_priority(uint64_t *state);

/* `link` is where a search for it ended: the root, or an empty child of `parent`. */
void tree_link(struct tree *tree, struct tree_node *node, struct tree_node *parent,
	       struct tree_node **link, uint32_t priority);

void tree_remove(struct tree *tree, struct tree_node *node);

/* NULL when there is none. */
struct tree_node *tree_first(const struct tree *tree);
struct tree_node *tree_last(const struct tree *tree);
struct tree_node *tree_next(const struct tree_node *node);

/* By key, for those who order by it; equal ones in the order in which they came. */
void tree_insert(struct tree *tree, struct tree_node *node, uint64_t key, uint32_t priority);
struct tree_node *tree_above(const struct tree *tree, uint64_t key); /* the first above it */
