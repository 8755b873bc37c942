// SPDX-License-Identifier: MIT
#include "origin.h"

#include <errno.h>

#include "description.h"
#include "proto/container.h"

static struct origin *origin_at(struct tree_node *node)
{
	return container_of(node, struct origin, node);
}

void origins_init(struct origins *origins, uint64_t seed)
{
	*origins = (struct origins){ .random = seed | 1 };
}

void origin_keep(struct origins *origins, struct origin *origin, int fd)
{
	struct tree_node **link = &origins->tree.root;
	struct tree_node *parent = NULL;
	*origin = (struct origin){ .fd = fd };
	while (*link) {
		parent = *link;
		int order = description_order(fd, origin_at(parent)->fd);
		if (order != 1 && order != 2) {
			return;
		}
		link = order == 1 ? &parent->left : &parent->right;
	}
	origin->origins = origins;
	tree_link(&origins->tree, &origin->node, parent, link, tree_priority(&origins->random));
}

void origin_forget(struct origin *origin)
{
	if (origin->origins) {
		tree_remove(&origin->origins->tree, &origin->node);
		origin->origins = NULL;
	}
}

struct origin *origin_find(const struct origins *origins, int fd)
{
	struct tree_node *node = origins->tree.root;
	while (node) {
		int order = description_order(fd, origin_at(node)->fd);
		if (order == 0) {
			return origin_at(node);
		}
		if (order < 0) {
			return NULL;
		}
		node = order == 1 ? node->left : node->right;
	}
	return NULL;
}
