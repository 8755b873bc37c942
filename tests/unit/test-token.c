// SPDX-License-Identifier: MIT
#include "daemon/core/token.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/core/registry.h"
#include "daemon/core/handle.h"
#include "daemon/core/client.h"
#include "tests/suite.h"

static struct registry registry;
static struct client client;
static struct handle handle, other;

static void setup(void)
{
	uint64_t limits[ACCOUNT_RESOURCE_COUNT];
	for (size_t i = 0; i < ACCOUNT_RESOURCE_COUNT; i++) {
		limits[i] = account_limits[i].per_user;
	}
	limits[ACCOUNT_TOKENS] = 3;
	registry = (struct registry){ .next_id = 0 };
	client = (struct client){ .registry = &registry };
	TAILQ_INIT(&client.tokens);
	handle = (struct handle){ .client = &client };
	other = (struct handle){ .client = &client };
	ck_assert_int_eq(account_create(&registry.account), 0);
	ck_assert_int_eq(account_user_ref(registry.account, 1000, limits, &client.user), 0);
}

static void handle_finish(struct handle *done)
{
	token_observer.handle_closed(done, FBK_CAUSE_OWNER_LEFT);
}

static void teardown(void)
{
	handle_finish(&handle);
	handle_finish(&other);
	ck_assert_uint_eq(account_total(registry.account, ACCOUNT_TOKENS), 0);
	ck_assert_uint_eq(account_total(registry.account, ACCOUNT_FDS), 0);
	ck_assert_ptr_null(registry.tokens.buckets);
	user_unref(client.user);
	account_destroy(registry.account);
}

static uint32_t last_id;
static char detail[FBK_REASON_SIZE];

/* Another token of the client. */
static int share(struct handle *from, uint32_t rights, int *ret_fd)
{
	return token_share(from, ++last_id, rights, ret_fd, detail);
}

/* Its fd. */
static int got(struct handle *from, uint32_t rights)
{
	int fd = -1;
	ck_assert_int_eq(share(from, rights, &fd), 0);
	ck_assert_int_ge(fd, 0);
	return fd;
}

START_TEST(found)
{
	int fd = got(&handle, FBK_RIGHT_WAIT);
	struct token *token = token_find(&registry, fd);
	ck_assert_ptr_nonnull(token);
	ck_assert_ptr_eq(token->handle, &handle);
	ck_assert_uint_eq(token->rights, FBK_RIGHT_WAIT);
	ck_assert(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	int duplicate = fcntl(fd, F_DUPFD_CLOEXEC, 100);
	close(fd);
	ck_assert_ptr_eq(token_find(&registry, duplicate), token); /* as good */
	close(duplicate);
	ck_assert_uint_eq(user_usage(client.user, ACCOUNT_FDS), 0); /* the daemon keeps none */
}
END_TEST

START_TEST(each_is_its_own)
{
	int fds[3] = { got(&handle, FBK_RIGHT_WAIT), got(&handle, RIGHTS_ALL),
		       got(&other, FBK_RIGHT_WAIT) };
	for (size_t i = 0; i < 3; i++) {
		const struct token *token = token_find(&registry, fds[i]);
		ck_assert_ptr_nonnull(token);
		ck_assert_ptr_eq(token->handle, i == 2 ? &other : &handle);
		ck_assert_uint_eq(token->rights, i == 1 ? RIGHTS_ALL : FBK_RIGHT_WAIT);
	}
	ck_assert_uint_eq(user_usage(client.user, ACCOUNT_TOKENS), 3);
	for (size_t i = 0; i < 3; i++) {
		close(fds[i]);
	}
}
END_TEST

/* A refused token does not exist, and can be created once there is room. */
START_TEST(limited)
{
	int fd = -1;
	close(got(&handle, FBK_RIGHT_WAIT));
	close(got(&handle, FBK_RIGHT_SIGNAL));
	close(got(&handle, RIGHTS_ALL));
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(share(&other, FBK_RIGHT_WAIT, &fd), -EDQUOT);
		ck_assert_int_eq(fd, -1);
		ck_assert(LIST_EMPTY(&other.tokens));
	}
	ck_assert_int_eq(token_cancel(&client, last_id - 3), 0);
	ck_assert_int_eq(share(&other, FBK_RIGHT_WAIT, &fd), 0);
	close(fd);
}
END_TEST

/* All of many are found, while the table grows and after some went. */
START_TEST(many)
{
	enum { MANY = 700 };
	static int fds[MANY];
	static struct token *tokens[MANY];
	uint64_t limits[ACCOUNT_RESOURCE_COUNT] = { [ACCOUNT_TOKENS] = MANY };
	user_set_limits(client.user, limits);
	for (int i = 0; i < MANY; i++) {
		fds[i] = got(&handle, FBK_RIGHT_WAIT);
		tokens[i] = LIST_FIRST(&handle.tokens);
	}
	for (int i = 0; i < MANY; i++) {
		ck_assert_ptr_eq(token_find(&registry, fds[i]), tokens[i]);
	}
	ck_assert_uint_ge(registry.tokens.size, MANY); /* about one in a bucket */
	for (int i = 0; i < MANY; i += 2) {
		ck_assert_int_eq(token_cancel(&client, tokens[i]->id), 0);
	}
	for (int i = 0; i < MANY; i++) {
		ck_assert_ptr_eq(token_find(&registry, fds[i]), i % 2 ? tokens[i] : NULL);
		close(fds[i]);
	}
}
END_TEST

/* What one client asked for of another's timeline: at its cost, and the oldest end first. */
START_TEST(asked_for)
{
	uint64_t limits[ACCOUNT_RESOURCE_COUNT] = { [ACCOUNT_TOKENS] = 2 * TOKENS_ASKED_MAX };
	struct client asker = { .registry = &registry };
	int fds[TOKENS_ASKED_MAX + 2];
	TAILQ_INIT(&asker.tokens);
	ck_assert_int_eq(account_user_ref(registry.account, 2000, limits, &asker.user), 0);
	for (int i = 0; i < TOKENS_ASKED_MAX + 2; i++) {
		ck_assert_int_eq(token_ask(&handle, &asker, FBK_RIGHT_WAIT, &fds[i]), 0);
	}
	ck_assert_uint_eq(user_usage(client.user, ACCOUNT_TOKENS), 0);
	ck_assert_uint_eq(user_usage(asker.user, ACCOUNT_TOKENS), TOKENS_ASKED_MAX);
	for (int i = 0; i < TOKENS_ASKED_MAX + 2; i++) {
		ck_assert_msg((token_find(&registry, fds[i]) != NULL) == (i >= 2), "token %d", i);
		close(fds[i]);
	}
	token_observer.client_ended(&asker, FBK_CAUSE_OWNER_LEFT);
	ck_assert(LIST_EMPTY(&handle.tokens));
	user_unref(asker.user);
}
END_TEST

/* An fd that is called so, empty and sealed as a token is; and one that needs no right to the file. */
START_TEST(forged)
{
	int token = got(&handle, FBK_RIGHT_WAIT);
	char path[32];
	int fd = memfd_create("fencebroker-token", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, fcntl(token, F_GET_SEALS)), 0);
	ck_assert_ptr_null(token_find(&registry, fd));
	close(fd);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", token);
	fd = open(path, O_PATH | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	ck_assert_ptr_null(token_find(&registry, fd));
	close(fd);
	ck_assert_ptr_null(token_find(&registry, fd)); /* not open */
	ck_assert_ptr_null(token_find(&registry, -1));
	close(token);
}
END_TEST

START_TEST(nothing_in_it)
{
	int token = got(&handle, FBK_RIGHT_WAIT);
	struct stat status;
	ck_assert_int_eq(fstat(token, &status), 0);
	ck_assert_int_eq(status.st_size, 0);
	ck_assert_uint_eq(status.st_mode & 07777, 0);
	int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL;
	ck_assert_int_eq(fcntl(token, F_GET_SEALS) & seals, seals);
	ck_assert_int_eq(write(token, "x", 1), -1); /* nobody stores anything at our cost */
	ck_assert_int_eq(ftruncate(token, 4096), -1);
	close(token);
}
END_TEST

/* The holder keeps the fd; it is worth nothing any more. */
START_TEST(destroyed)
{
	int kept = got(&handle, FBK_RIGHT_WAIT);
	ck_assert_int_eq(token_cancel(&client, last_id), 0);
	ck_assert_ptr_null(token_find(&registry, kept));
	int next = got(&handle, FBK_RIGHT_WAIT);
	ck_assert_ptr_null(token_find(&registry, kept));
	ck_assert_ptr_eq(token_find(&registry, next), LIST_FIRST(&handle.tokens));
	close(next);
	close(kept);
	ck_assert_int_eq(token_cancel(&client, last_id - 1), -ENOENT);
}
END_TEST

/* The first file is lost; as often as it is asked for, there is one token. */
START_TEST(once_more)
{
	int fds[70];
	for (int i = 0; i < 70; i++) {
		ck_assert_int_eq(token_share(&handle, 9, FBK_RIGHT_WAIT, &fds[i], detail), 0);
	}
	ck_assert_uint_eq(user_usage(client.user, ACCOUNT_TOKENS), 1);
	for (int i = 0; i < 70; i++) {
		const struct token *token = token_find(&registry, fds[i]);
		ck_assert_ptr_eq(token, i == 69 ? LIST_FIRST(&handle.tokens) : NULL);
		close(fds[i]);
	}
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, found);
	tcase_add_test(tcase, each_is_its_own);
	tcase_add_test(tcase, limited);
	tcase_add_test(tcase, many);
	tcase_add_test(tcase, asked_for);
	tcase_add_test(tcase, forged);
	tcase_add_test(tcase, nothing_in_it);
	tcase_add_test(tcase, destroyed);
	tcase_add_test(tcase, once_more);
}

int main(void)
{
	return suite_main("token", add);
}
