// SPDX-License-Identifier: MIT
/*
 * Finds a fence that the daemon made and handed out, by its open file description, when it comes back as an import:
 * then the daemon knows for which point the import waits. A fence that was merged with others, or taken out of a
 * dma-buf or syncobj, is another file and is not found. Embedded in the export. Loop's thread only.
 */
#pragma once

#include <bsd/sys/queue.h>
#include <bsd/sys/tree.h>
#include <stdint.h>

struct origin {
	RB_ENTRY(origin) node; /* eventfds, by their number */
	LIST_ENTRY(origin) links;
	struct origins *origins; /* NULL: not kept */
	int fd;                  /* of the description that was handed out */
	uint64_t id;             /* of an eventfd; 0: it is in the list */
};

struct origins {
	RB_HEAD(origin_tree, origin) tree;
	LIST_HEAD(, origin) list; /* sync_files and syncobjs, which have no number: newest first */
};

/* Of the list so many are compared. What is not recognised is a fence like any other: its deadline ends the wait. */
#define ORIGINS_COMPARED 1024

/* `fd` stays the caller's, which keeps it open until origin_forget(). */
void origin_keep(struct origins *origins, struct origin *origin, int fd);
void origin_forget(struct origin *origin); /* no-op when it is not kept */

/* The origin of which this fd, already classified, is a duplicate, or NULL: also where descriptions can't be compared. */
struct origin *origin_find(const struct origins *origins, int fd);
