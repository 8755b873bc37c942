// SPDX-License-Identifier: MIT
#include "child.h"

#include <stddef.h>

void child_add(struct child_list *parent, struct child *child, const struct child_ops *ops)
{
	child->ops = ops;
	LIST_INSERT_HEAD(parent, child, links);
}

void child_remove(struct child *child)
{
	if (child->ops) {
		LIST_REMOVE(child, links);
		child->ops = NULL;
	}
}

void children_lost(struct child_list *parent)
{
	struct child *child;
	LIST_FOREACH(child, parent, links) {
		if (child->ops->lost) {
			child->ops->lost(child);
		}
	}
}

void children_wake(struct child_list *parent)
{
	struct child *child;
	LIST_FOREACH(child, parent, links) {
		if (child->ops->wake) {
			child->ops->wake(child);
		}
	}
}

void children_drop(struct child_list *parent)
{
	struct child *child;
	while ((child = LIST_FIRST(parent))) {
		const struct child_ops *ops = child->ops;
		child_remove(child);
		ops->drop(child);
	}
}
