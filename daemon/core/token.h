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
	RB_ENTRY(token) id_links; /* of the handle's client, by its id; with an `asker` none */
	uint32_t id;
	struct handle *handle;
	struct client
		*asker; /* it was made for that client, and ends with it; NULL: for the handle's */
	uint32_t rights;
	struct token_key key;
	struct charge charge;
};

/* Tokens that one client asked for of others' timelines: one more ends the oldest. */
#define TOKENS_ASKED_MAX 64

/* In these `ret_fd` is for the caller to send and close. Each call makes another token of the handle with these rights, at
 * the expense of the client that asks. */
int token_ask(struct handle *handle, struct client *asker, uint32_t rights, int *ret_fd);

/* At that of the handle's client, by an id that it chose. Of one that is there, with the same handle and rights, the fd is
 * another, and the one before opens nothing any more. -EEXIST: it is another. */
int token_share(struct handle *handle, uint32_t id, uint32_t rights, int *ret_fd, char *detail);

/* -ENOENT: it has ended. */
int token_cancel(struct client *client, uint32_t id);

extern const struct observer token_observer;

/* The token behind `fd`, or NULL. Nothing but statx(2) and F_GETFL touches the fd, which is a stranger's. */
struct token *token_find(struct registry *registry, int fd);

/* The client's own handle that this token opened, also once the token has ended with its maker; or NULL. */
struct handle *token_opened(const struct client *client, int fd);
