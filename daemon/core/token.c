// SPDX-License-Identifier: MIT
#include "token.h"

#include <errno.h>
#include <fcntl.h>
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

static void asker_add(struct client *asker, struct token *token)
{
	token->asker = asker;
	TAILQ_INSERT_TAIL(&asker->tokens, token, asker_links);
	if (++asker->token_count > TOKENS_ASKED_MAX) {
		token_destroy(TAILQ_FIRST(&asker->tokens));
	}
}

int token_create(struct handle *handle, struct client *asker, uint32_t rights, int *ret_fd)
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
		r = charge_take(&token->charge, asker ? asker->user : handle->client->user,
				ACCOUNT_TOKENS, 1);
	}
	int fd = r == 0 ? token_memfd() : r;
	r = fd < 0 ? fd : key_of(fd, &token->key);
	if (r < 0) {
		if (fd >= 0) {
			close(fd);
		}
		charge_release(&token->charge);
		free(token);
		return r;
	}
	table_add(&registry->tokens, token);
	LIST_INSERT_HEAD(&handle->tokens, token, handle_links);
	if (asker) {
		asker_add(asker, token);
	}
	*ret_fd = fd;
	return 0;
}

void token_destroy(struct token *token)
{
	if (!token) {
		return;
	}
	if (token->asker) {
		TAILQ_REMOVE(&token->asker->tokens, token, asker_links);
		token->asker->token_count--;
	}
	LIST_REMOVE(token, handle_links);
	table_remove(&token->handle->client->registry->tokens, token);
	charge_release(&token->charge);
	free(token);
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
