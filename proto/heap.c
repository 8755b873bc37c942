// SPDX-License-Identifier: MIT
#include "heap.h"

#include <assert.h>

/* Two detached trees (next and prev unset) become one; either may be NULL. */
static struct heap_node *trees_merge(struct heap_node *a, struct heap_node *b)
{
	if (!a || !b) {
		return a ? a : b;
	}
	if (b->key < a->key) {
		struct heap_node *swap = a;
		a = b;
		b = swap;
	}
	b->prev = a;
	b->next = a->child;
	if (b->next) {
		b->next->prev = b;
	}
	a->child = b;
	return a;
}

static struct heap_node *tree_detach(struct heap_node *node)
{
	struct heap_node *next = node->next;

	node->next = NULL;
	node->prev = NULL;
	return next;
}

/*
 * A list of siblings becomes one tree: pairs from left to right, then the pairs from right to
 * left; this order is what makes removal amortised logarithmic. The pairs wait in a list of their
 * own instead of on the stack, so that any number of siblings is fine.
 */
static struct heap_node *siblings_merge(struct heap_node *first)
{
	struct heap_node *pairs = NULL;
	struct heap_node *root = NULL;

	while (first) {
		struct heap_node *a = first;
		struct heap_node *b = tree_detach(a);

		first = b ? tree_detach(b) : NULL;
		a = trees_merge(a, b);
		a->next = pairs;
		pairs = a;
	}
	while (pairs) {
		struct heap_node *pair = pairs;

		pairs = tree_detach(pair);
		root = trees_merge(root, pair);
	}
	return root;
}

void heap_insert(struct heap *heap, struct heap_node *node, uint64_t key)
{
	assert(!heap_node_linked(heap, node));
	*node = (struct heap_node){ .key = key };
	heap->root = trees_merge(heap->root, node);
}

void heap_remove(struct heap *heap, struct heap_node *node)
{
	assert(heap_node_linked(heap, node));
	struct heap_node *rest = siblings_merge(node->child);

	if (heap->root == node) {
		heap->root = rest;
	} else {
		if (node->prev->child == node) {
			node->prev->child = node->next;
		} else {
			node->prev->next = node->next;
		}
		if (node->next) {
			node->next->prev = node->prev;
		}
		heap->root = trees_merge(heap->root, rest);
	}
	*node = (struct heap_node){ 0 };
}

struct heap_node *heap_min(const struct heap *heap)
{
	return heap->root;
}

bool heap_node_linked(const struct heap *heap, const struct heap_node *node)
{
	return heap->root == node || node->prev;
}
