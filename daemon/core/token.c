// SPDX-License-Identifier: MIT
#include "token.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/base/description.h"

static int inode_of(int fd, uint64_t *ret_inode)
{
	struct statx status;
	/* DONT_SYNC: the kernel answers from memory, even for a file whose server hangs */
	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_INO, &status) < 0) {
		return -errno;
	}
	*ret_inode = status.stx_ino;
	return 0;
}

static int token_memfd(void)
{
	int fd = memfd_create("fencebroker-token", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (fd < 0) {
		return -errno;
	}
	if (fchmod(fd, 0) < 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL) < 0) {
		int error = -errno;
		close(fd);
		return error;
	}
	return fd;
}

static int token_create(struct handle *handle, uint32_t rights, struct token **ret_token)
{
	struct client *client = handle->client;
	struct token *token = calloc(1, sizeof(*token));
	if (!token) {
		return -ENOMEM;
	}
	token->handle = handle;
	token->rights = rights;
	token->fd = -1;
	int r = charge_take(&token->charge, client->user, ACCOUNT_TOKENS, 1);
	if (r == 0) {
		r = charge_take(&token->fd_charge, client->user, ACCOUNT_FDS, 1);
	}
	if (r == 0) {
		r = token_memfd();
	}
	if (r >= 0) {
		token->fd = r;
		r = inode_of(token->fd, &token->inode);
	}
	LIST_INSERT_HEAD(&client->registry->tokens[token->inode % REGISTRY_TOKEN_BUCKETS], token,
			 links);
	LIST_INSERT_HEAD(&handle->tokens, token, handle_links);
	if (r < 0) {
		token_destroy(token);
		return r;
	}
	*ret_token = token;
	return 0;
}

int token_get(struct handle *handle, uint32_t rights, struct token **ret_token)
{
	struct token *token;
	LIST_FOREACH(token, &handle->tokens, handle_links) {
		if (token->rights == rights) {
			*ret_token = token;
			return 0;
		}
	}
	return token_create(handle, rights, ret_token);
}

void token_destroy(struct token *token)
{
	if (!token) {
		return;
	}
	LIST_REMOVE(token, handle_links);
	LIST_REMOVE(token, links);
	if (token->fd >= 0) {
		close(token->fd);
	}
	charge_release(&token->fd_charge);
	charge_release(&token->charge);
	free(token);
}

struct token *token_find(struct registry *registry, int fd)
{
	uint64_t inode;
	if (inode_of(fd, &inode) < 0) {
		return NULL;
	}
	struct token *token;
	LIST_FOREACH(token, &registry->tokens[inode % REGISTRY_TOKEN_BUCKETS], links) {
		if (token->inode == inode && description_same(token->fd, fd)) {
			return token;
		}
	}
	return NULL;
}

/* By some bits of the inode alone: no client gets more by that than a handle that it has. */
struct handle *token_opened(const struct client *client, int fd)
{
	uint64_t inode;
	if (inode_of(fd, &inode) < 0) {
		return NULL;
	}
	for (uint32_t number = 1; number < client->handles_size; number++) {
		struct handle *handle = client->handles[number];
		if (handle && handle->opened_by == (uint32_t)inode) {
			return handle;
		}
	}
	return NULL;
}

static void token_handle_closed(struct handle *handle, enum fbk_cause cause)
{
	(void)cause;
	while (!LIST_EMPTY(&handle->tokens)) {
		token_destroy(LIST_FIRST(&handle->tokens));
	}
}

const struct observer token_observer = {
	.handle_closed = token_handle_closed,
};
