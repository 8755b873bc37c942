// SPDX-License-Identifier: MIT
#include "token.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* ----------------------------------------------------------------------------------- the memfd -- */

static int key_of(int fd, struct token_key *ret_key)
{
	struct statx status;
	/* An O_PATH fd needs no right to the file: whoever may look into a process's /proc/PID/fd gets one. */
	int flags = fcntl(fd, F_GETFL);
	if (flags < 0 || flags & O_PATH) {
		return -EBADF;
	}
	/* DONT_SYNC: the kernel answers from memory, even for a file whose server hangs */
	if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_INO | STATX_BTIME, &status) <
	    0) {
		return -errno;
	}
	*ret_key = (struct token_key){
		.device = makedev(status.stx_dev_major, status.stx_dev_minor),
		.inode = status.stx_ino,
	};
	if (status.stx_mask & STATX_BTIME) { /* of memfds from Linux 6.0 on */
		ret_key->born_ns =
			(uint64_t)status.stx_btime.tv_sec * 1000000000 + status.stx_btime.tv_nsec;
	}
	return 0;
}

static bool key_equal(const struct token_key *a, const struct token_key *b)
{
	return a->inode == b->inode && a->device == b->device && a->born_ns == b->born_ns;
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

/* ----------------------------------------------------------------------------------- the table -- */

#define TABLE_SIZE_MIN 64

/* Inode numbers follow each other, so their low bits spread well. */
static struct token_list *table_bucket(const struct token_table *table, uint64_t inode)
{
	return &table->buckets[inode & (table->size - 1)];
}

/* As many buckets as tokens, so that a look-up compares with about one. */
static int table_make_room(struct token_table *table)
{
	if (table->count < table->size) {
		return 0;
	}
	struct token_table larger = { .size = table->size ? 2 * table->size : TABLE_SIZE_MIN };
	larger.buckets = calloc(larger.size, sizeof(*larger.buckets));
	if (!larger.buckets) {
		return table->size ? 0 : -ENOMEM; /* slower, else as good */
	}
	for (uint32_t i = 0; i < table->size; i++) {
		while (!LIST_EMPTY(&table->buckets[i])) {
			struct token *token = LIST_FIRST(&table->buckets[i]);
			LIST_REMOVE(token, links);
			LIST_INSERT_HEAD(table_bucket(&larger, token->key.inode), token, links);
		}
	}
	larger.count = table->count;
	free(table->buckets);
	*table = larger;
	return 0;
}

static void table_add(struct token_table *table, struct token *token)
{
	LIST_INSERT_HEAD(table_bucket(table, token->key.inode), token, links);
	table->count++;
}

static void table_remove(struct token_table *table, struct token *token)
{
	LIST_REMOVE(token, links);
	if (--table->count == 0) {
		free(table->buckets);
		*table = (struct token_table){ 0 };
	}
}

/* ----------------------------------------------------------------------------------- the token -- */

static int token_compare(const struct token *a, const struct token *b)
{
	return a->id < b->id ? -1 : a->id > b->id;
}

RB_GENERATE_INTERNAL(token_tree, token, id_links, token_compare, __attribute__((unused)) static)

static void token_destroy(struct token *token)
{
	if (token->asker) {
		TAILQ_REMOVE(&token->asker->tokens, token, asker_links);
		token->asker->token_count--;
	} else {
		RB_REMOVE(token_tree, &token->handle->client->token_ids, token);
	}
	LIST_REMOVE(token, handle_links);
	table_remove(&token->handle->client->registry->tokens, token);
	charge_release(&token->charge);
	free(token);
}

static void asker_add(struct client *asker, struct token *token)
{
	token->asker = asker;
	TAILQ_INSERT_TAIL(&asker->tokens, token, asker_links);
	if (++asker->token_count > TOKENS_ASKED_MAX) {
		token_destroy(TAILQ_FIRST(&asker->tokens));
	}
}

/* A file, and the key that knows it. */
static int file_make(struct token_key *ret_key, int *ret_fd)
{
	int fd = token_memfd();
	int r = fd < 0 ? fd : key_of(fd, ret_key);
	if (r == 0) {
		*ret_fd = fd;
	} else if (fd >= 0) {
		close(fd);
	}
	return r;
}

static int token_create(struct handle *handle, struct user *user, uint32_t rights, int *ret_fd,
			struct token **ret_token)
{
	struct registry *registry = handle->client->registry;
	struct token *token = calloc(1, sizeof(*token));
	if (!token) {
		return -ENOMEM;
	}
	token->handle = handle;
	token->rights = rights;
	int r = table_make_room(&registry->tokens);
	if (r == 0) {
		r = charge_take(&token->charge, user, ACCOUNT_TOKENS, 1);
	}
	if (r == 0) {
		r = file_make(&token->key, ret_fd);
	}
	if (r < 0) {
		charge_release(&token->charge);
		free(token);
		return r;
	}
	table_add(&registry->tokens, token);
	LIST_INSERT_HEAD(&handle->tokens, token, handle_links);
	*ret_token = token;
	return 0;
}

int token_ask(struct handle *handle, struct client *asker, uint32_t rights, int *ret_fd)
{
	struct token *token;
	int r = token_create(handle, asker->user, rights, ret_fd, &token);
	if (r == 0) {
		asker_add(asker, token);
	}
	return r;
}

static struct token *token_by_id(struct client *client, uint32_t id)
{
	struct token key = { .id = id };
	return RB_FIND(token_tree, &client->token_ids, &key);
}

/* The client asks for it once more, since it has lost the file. */
static int token_again(struct token *token, const struct handle *handle, uint32_t rights,
		       int *ret_fd, char *detail)
{
	struct token_table *table = &handle->client->registry->tokens;
	if (token->handle != handle || token->rights != rights) {
		snprintf(detail, FBK_REASON_SIZE, "token %u of this client is another, of %s",
			 token->id, token->handle->timeline->name);
		return -EEXIST;
	}
	struct token_key key;
	int r = file_make(&key, ret_fd);
	if (r == 0) {
		LIST_REMOVE(token, links);
		token->key = key;
		LIST_INSERT_HEAD(table_bucket(table, key.inode), token, links);
	}
	return r;
}

int token_share(struct handle *handle, uint32_t id, uint32_t rights, int *ret_fd, char *detail)
{
	struct token *token = token_by_id(handle->client, id);
	if (token) {
		return token_again(token, handle, rights, ret_fd, detail);
	}
	int r = token_create(handle, handle->client->user, rights, ret_fd, &token);
	if (r == 0) {
		token->id = id;
		RB_INSERT(token_tree, &handle->client->token_ids, token);
	}
	return r;
}

int token_cancel(struct client *client, uint32_t id)
{
	struct token *token = token_by_id(client, id);
	if (!token) {
		return -ENOENT;
	}
	token_destroy(token);
	return 0;
}

struct token *token_find(struct registry *registry, int fd)
{
	struct token_key key;
	if (registry->tokens.count == 0 || key_of(fd, &key) < 0) {
		return NULL;
	}
	struct token *token;
	LIST_FOREACH(token, table_bucket(&registry->tokens, key.inode), links) {
		if (key_equal(&token->key, &key)) {
			return token;
		}
	}
	return NULL;
}

/* By some bits of the inode alone: no client gets more by that than a handle that it has. */
struct handle *token_opened(const struct client *client, int fd)
{
	struct token_key key;
	if (key_of(fd, &key) < 0) {
		return NULL;
	}
	for (uint32_t number = 1; number < client->handles_size; number++) {
		struct handle *handle = client->handles[number];
		if (handle && handle->opened_by == (uint32_t)key.inode) {
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

static void token_client_ended(struct client *client, enum fbk_cause cause)
{
	(void)cause;
	while (!TAILQ_EMPTY(&client->tokens)) {
		token_destroy(TAILQ_FIRST(&client->tokens));
	}
}

const struct observer token_observer = {
	.handle_closed = token_handle_closed,
	.client_ended = token_client_ended,
};
