// SPDX-License-Identifier: MIT
#include "tree.h"

uint32_t tree_priority(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return (uint32_t)(*state >> 32);
}

/* What points to this node. */
static struct tree_node **tree_link_of(struct tree *tree, const struct tree_node *node)
{
	if (!node->parent) {
		return &tree->root;
	}
	return node->parent->left == node ? &node->parent->left : &node->parent->right;
}

/* The child takes its parent's place. */
static void tree_raise(struct tree *tree, struct tree_node *child)
{
	struct tree_node *parent = child->parent;
	struct tree_node *moved;
	*tree_link_of(tree, parent) = child;
	child->parent = parent->parent;
	if (parent->left == child) {
		moved = child->right;
		child->right = parent;
		parent->left = moved;
	} else {
		moved = child->left;
		child->left = parent;
		parent->right = moved;
	}
	parent->parent = child;
	if (moved) {
		moved->parent = parent;
	}
}

void tree_link(struct tree *tree, struct tree_node *node, struct tree_node *parent,
	       struct tree_node **link, uint32_t priority)
{
	node->left = node->right = NULL;
	node->parent = parent;
	node->priority = priority;
	*link = node;
	while (node->parent && node->parent->priority < priority) {
		tree_raise(tree, node);
	}
}

void tree_remove(struct tree *tree, struct tree_node *node)
{
	while (node->left && node->right) {
		tree_raise(tree,
			   node->left->priority > node->right->priority ? node->left : node->right);
	}
	struct tree_node *child = node->left ? node->left : node->right;
	*tree_link_of(tree, node) = child;
	if (child) {
		child->parent = node->parent;
	}
	*node = (struct tree_node){ 0 };
}

struct tree_node *tree_first(const struct tree *tree)
{
	struct tree_node *node = tree->root;
	while (node && node->left) {
		node = node->left;
	}
	return node;
}

struct tree_node *tree_last(const struct tree *tree)
{
	struct tree_node *node = tree->root;
	while (node && node->right) {
		node = node->right;
	}
	return node;
}

struct tree_node *tree_next(const struct tree_node *node)
{
	if (node->right) {
		return tree_first(&(struct tree){ node->right });
	}
	while (node->parent && node->parent->right == node) {
		node = node->parent;
	}
	return node->parent;
}

void tree_insert(struct tree *tree, struct tree_node *node, uint64_t key, uint32_t priority)
{
	struct tree_node **link = &tree->root;
	struct tree_node *parent = NULL;
	while (*link) {
		parent = *link;
		link = key < parent->key ? &parent->left : &parent->right;
	}
	node->key = key;
	tree_link(tree, node, parent, link, priority);
}

struct tree_node *tree_above(const struct tree *tree, uint64_t key)
{
	struct tree_node *above = NULL;
	struct tree_node *node = tree->root;
	while (node) {
		if (node->key > key) {
			above = node;
			node = node->left;
		} else {
			node = node->right;
		}
	}
	return above;
}
