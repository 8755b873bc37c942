// SPDX-License-Identifier: MIT
/*
 * A sharing token (rule R6): an empty sealed memfd that the daemon made and keeps. Whoever presents
 * the same open file description holds the rights; a re-opened copy or a look-alike does not. Gone
 * with the handle that made it. Loop's thread only.
 */
#pragma once

#include <bsd/sys/queue.h>
#include <stdint.h>

#include "daemon/rules/account.h"
#include "handle.h"

struct token {
	LIST_ENTRY(token) links;        /* of its hash bucket */
	LIST_ENTRY(token) handle_links; /* of who shares */
	struct handle *handle;
	uint32_t rights;
	int fd;
	uint64_t inode; /* a hint to find it, no proof */
	struct charge charge;
	struct charge fd_charge;
};

/* The handle's token for these rights; made when there is none: sharing twice gives the same. */
int token_get(struct handle *handle, uint32_t rights, struct token **ret_token);
void token_destroy(struct token *token); /* takes NULL */

extern const struct observer token_observer;

/* The token that `fd` (a stranger's, untouched but for statx) is; NULL when it is none. */
struct token *token_find(struct registry *registry, int fd);
