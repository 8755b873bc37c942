// SPDX-License-Identifier: MIT
/*
 * Hooks: what is made of a context or of a timeline registers with it as a child, so that the parent can
 * end what stands on it without naming it. Embedded in the child; all zero while not registered.
 *
 * Under the context's mutex, hooks included: they call back nothing of the program's.
 */
#pragma once

#include <bsd/sys/queue.h>
#include <stdbool.h>

struct child;

struct child_ops {
	void (*lost)(struct child *child); /* the daemon is gone; NULL: of no interest */
	void (*wake)(struct child *child); /* threads that sleep on it look again; NULL: none do */
	void (*drop)(struct child *child); /* the parent goes; called once, unregistered already */
};

struct child {
	LIST_ENTRY(child) links;
	const struct child_ops *ops; /* NULL: not registered */
};

LIST_HEAD(child_list, child);

void child_add(struct child_list *parent, struct child *child, const struct child_ops *ops);
void child_remove(struct child *child); /* nothing where it is not registered */

/* Newest first, so what was made of another child goes before it. */
void children_lost(struct child_list *parent);
void children_wake(struct child_list *parent);
void children_drop(struct child_list *parent);
