// SPDX-License-Identifier: MIT
/* A consumer's buffers, as they come. Under the link's lock. */
#pragma once

#include "link-consumer.h"

/* That of the present producer, of that generation, counted: asked for when it first comes, and again when another
 * lies in its place. */
int link_buffer_get(struct fbk_link *link, uint32_t index, uint32_t generation,
		    struct link_buffer **ret_buffer);

/* The same, where it may be a newer one. */
int link_buffer_look(struct fbk_link *link, uint32_t index, uint32_t generation,
		     struct link_buffer **ret_buffer);
