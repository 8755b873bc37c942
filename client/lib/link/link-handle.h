// SPDX-License-Identifier: MIT
/* What a program has of a callback of a link: it keeps the memory of the link. */
#pragma once

#include "client/lib/handle.h"
#include "link.h"

struct link_handle {
	struct fbk_watch handle;
	struct fbk_link *link; /* counted */
};

static inline struct fbk_link *link_of_handle(struct fbk_watch *handle)
{
	return ((struct link_handle *)(void *)handle)->link;
}

int link_handle_create(struct fbk_link *link, const struct handle_ops *ops,
		       struct fbk_watch **ret_handle);
void link_handle_free(struct fbk_watch *handle); /* for the ops */

/* The number of a call of this link; it is that of the handle, if there is one. */
uint64_t link_call_number(const struct fbk_link *link, struct fbk_watch *handle);
