// SPDX-License-Identifier: MIT
/*
 * A sharing token (rule R6): an empty sealed memfd that the daemon made and keeps. A client that presents
 * the same open file description has its rights; a re-opened copy or a look-alike gives none. It ends with
 * the handle that made it. Loop's thread only.
 */
#pragma once

#include <bsd/sys/queue.h>
#include <stdint.h>

#include "daemon/rules/account.h"
#include "handle.h"

struct token {
	LIST_ENTRY(token) links;        /* of its hash bucket */
	LIST_ENTRY(token) handle_links; /* of its handle */
	struct handle *handle;
	uint32_t rights;
	int fd;
	uint64_t inode; /* the key of the lookup; proves nothing */
	struct charge charge;
	struct charge fd_charge;
};

/* The handle's token for these rights. Made once: a second call returns the same. */
int token_get(struct handle *handle, uint32_t rights, struct token **ret_token);
void token_destroy(struct token *token); /* takes NULL */

extern const struct observer token_observer;

/* The token behind `fd`, or NULL. Nothing but statx(2) touches the fd, which is a stranger's. */
struct token *token_find(struct registry *registry, int fd);

/* The client's own handle that this token opened, also once the token has ended with its maker; or NULL. */
struct handle *token_opened(const struct client *client, int fd);
