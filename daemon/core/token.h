// SPDX-License-Identifier: MIT
/*
 * A sharing token (rule R6): an empty sealed memfd of mode 0 that the daemon made and keeps no fd of. It knows the memfd
 * by device, inode number and birth time: the kernel gives no two memfds the same. Who can open a file of mode 0 anew,
 * root, holds the same token. Ends with the handle that it is of. Loop's thread only.
 */
#pragma once

#include <bsd/sys/queue.h>
#include <stdint.h>

#include "daemon/rules/account.h"
#include "handle.h"

struct token_key {
	uint64_t device, inode, born_ns;
};

struct token {
	LIST_ENTRY(token) links;        /* of its hash bucket */
	LIST_ENTRY(token) handle_links; /* of its handle */
	TAILQ_ENTRY(token) asker_links; /* of `asker` */
	struct handle *handle;
	struct client
		*asker; /* it was made for that client, and ends with it; NULL: for the handle's */
	uint32_t rights;
	struct token_key key;
	struct charge charge;
};

/* Tokens that one client asked for of others' timelines: one more ends the oldest. */
#define TOKENS_ASKED_MAX 64

/* A token of the handle with these rights: `ret_fd` is for the caller to send and close. Each call makes another. With an
 * `asker` that client pays, else the handle's. */
int token_create(struct handle *handle, struct client *asker, uint32_t rights, int *ret_fd);
void token_destroy(struct token *token); /* takes NULL */

extern const struct observer token_observer;

/* The token behind `fd`, or NULL. Nothing but statx(2) and F_GETFL touches the fd, which is a stranger's. */
struct token *token_find(struct registry *registry, int fd);

/* The client's own handle that this token opened, also once the token has ended with its maker; or NULL. */
struct handle *token_opened(const struct client *client, int fd);
