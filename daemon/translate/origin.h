// SPDX-License-Identifier: MIT
/*
 * Finds a fence that the daemon made and handed out, by its open file description, when it comes back as an import:
 * then the daemon knows for which point the import waits. A fence that was merged with others, or taken out of a
 * dma-buf or syncobj, is another file and is not found. Embedded in the export. Loop's thread only.
 */
#pragma once

#include <bsd/sys/tree.h>

struct origin {
	RB_ENTRY(origin) node;
	struct origins *origins; /* NULL: not kept */
	int fd;                  /* of the description that was handed out */
};

struct origins {
	RB_HEAD(origin_tree, origin) tree; /* by description_order() */
};

/* `fd` stays the caller's, which keeps it open until origin_forget(). Keeps nothing where descriptions can't be
 * compared. */
void origin_keep(struct origins *origins, struct origin *origin, int fd);
void origin_forget(struct origin *origin); /* no-op when it is not kept */

/* The origin of which this fd, already classified, is a duplicate, or NULL. */
struct origin *origin_find(const struct origins *origins, int fd);
