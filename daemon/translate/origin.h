// SPDX-License-Identifier: MIT
/*
 * Fences that the daemon made and handed out, found again by their open file description when they
 * come back as something to be followed: then it is known what the follower waits for. A fence that
 * was merged with others, or taken out of a dma-buf or syncobj again, is another file and not known.
 * Embedded in the export. Loop's thread only.
 */
#pragma once

#include <bsd/sys/tree.h>

struct origin {
	RB_ENTRY(origin) node;
	struct origins *origins; /* NULL: not kept */
	int fd;                  /* of the same description as what was handed out */
};

struct origins {
	RB_HEAD(origin_tree, origin) tree; /* by description_order() */
};

/* `fd` stays the caller's, and open until origin_forget(). Where descriptions can't be compared nothing
 * is kept. */
void origin_keep(struct origins *origins, struct origin *origin, int fd);
void origin_forget(struct origin *origin); /* no-op when it is not kept */

/* The one that this fd, which was classified, is a duplicate of, or NULL. */
struct origin *origin_find(const struct origins *origins, int fd);
