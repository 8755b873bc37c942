// SPDX-License-Identifier: MIT
/* What requests about links have in common: the link that a handle names, and which end of it the client is. */
#pragma once

#include "dispatch.h"

struct handle;
struct link;

int answer_no_link(struct answer *answer, const struct handle *handle); /* returns the error */

/* -EBADF: no link. -EPIPE: the client is no end of it. */
int request_find_link(struct client *client, struct handle *handle, struct link **ret_link,
		      int *ret_side, struct answer *answer);

/* The same for what is about the peer. The offerer states the epoch of the peer that it means; -ESTALE: it has left. The
 * accepter has one peer only. */
int request_find_peer(struct client *client, struct handle *handle, uint64_t epoch,
		      struct link **ret_link, int *ret_side, struct answer *answer);
