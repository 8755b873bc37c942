// SPDX-License-Identifier: MIT
#include "origin.h"

#include <stddef.h>

#include "daemon/base/description.h"

/* Where descriptions can't be compared, all compare as equal. */
static int origin_compare(const struct origin *a, const struct origin *b)
{
	int order = description_order(a->fd, b->fd);
	return order == 1 ? -1 : order == 2;
}

RB_GENERATE_INTERNAL(origin_tree, origin, node, origin_compare, static inline)

void origin_keep(struct origins *origins, struct origin *origin, int fd)
{
	*origin = (struct origin){ .fd = fd };
	if (!RB_INSERT(origin_tree, &origins->tree, origin)) {
		origin->origins = origins;
	}
}

void origin_forget(struct origin *origin)
{
	if (origin->origins) {
		RB_REMOVE(origin_tree, &origin->origins->tree, origin);
		origin->origins = NULL;
	}
}

struct origin *origin_find(const struct origins *origins, int fd)
{
	struct origin key = { .fd = fd };
	/* the macro takes no const head, and changes nothing */
	struct origin *origin = RB_FIND(origin_tree, (struct origin_tree *)&origins->tree, &key);
	/* a true match, not an error of the comparison */
	return origin && description_order(fd, origin->fd) == 0 ? origin : NULL;
}
