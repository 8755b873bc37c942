// SPDX-License-Identifier: MIT
#include "origin.h"

#include <stddef.h>

#include "daemon/base/description.h"

static int origin_compare(const struct origin *a, const struct origin *b)
{
	return a->id < b->id ? -1 : a->id > b->id;
}

RB_GENERATE_INTERNAL(origin_tree, origin, node, origin_compare, __attribute__((unused)) static)

void origin_keep(struct origins *origins, struct origin *origin, int fd)
{
	*origin = (struct origin){
		.origins = origins,
		.fd = fd,
		.id = description_eventfd_id(fd),
	};
	if (origin->id == 0) {
		LIST_INSERT_HEAD(&origins->list, origin, links);
	} else if (RB_INSERT(origin_tree, &origins->tree, origin)) {
		origin->origins = NULL; /* it comes back as a fence of its own, like a stranger's */
	}
}

void origin_forget(struct origin *origin)
{
	if (!origin->origins) {
		return;
	}
	if (origin->id == 0) {
		LIST_REMOVE(origin, links);
	} else {
		RB_REMOVE(origin_tree, &origin->origins->tree, origin);
	}
	origin->origins = NULL;
}

static struct origin *list_find(const struct origins *origins, int fd)
{
	struct origin *origin;
	unsigned int compared = 0;
	LIST_FOREACH(origin, &origins->list, links) {
		if (compared++ == ORIGINS_COMPARED) {
			return NULL;
		}
		if (description_same(origin->fd, fd)) {
			return origin;
		}
	}
	return NULL;
}

struct origin *origin_find(const struct origins *origins, int fd)
{
	struct origin key = { .id = description_eventfd_id(fd) };
	if (key.id == 0) {
		return list_find(origins, fd);
	}
	/* the macro takes no const head, and changes nothing */
	struct origin *origin = RB_FIND(origin_tree, (struct origin_tree *)&origins->tree, &key);
	return origin && description_same(origin->fd, fd) ? origin : NULL;
}
