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
	handle = (struct handle){ .client = &client };
	other = (struct handle){ .client = &client };
	ck_assert_int_eq(account_create(&registry.account), 0);
	ck_assert_int_eq(account_user_ref(registry.account, 1000, limits, &client.user), 0);
}

static void handle_finish(struct handle *done)
{
	while (!LIST_EMPTY(&done->tokens)) {
		token_destroy(LIST_FIRST(&done->tokens));
	}
}

static void teardown(void)
{
	handle_finish(&handle);
	handle_finish(&other);
	ck_assert_uint_eq(account_total(registry.account, ACCOUNT_TOKENS), 0);
	ck_assert_uint_eq(account_total(registry.account, ACCOUNT_FDS), 0);
	for (size_t i = 0; i < 256; i++) {
		ck_assert(LIST_EMPTY(&registry.tokens[i]));
	}
	user_unref(client.user);
	account_destroy(registry.account);
}

static struct token *got(struct handle *from, uint32_t rights)
{
	struct token *token;
	ck_assert_int_eq(token_get(from, rights, &token), 0);
	return token;
}

START_TEST(found)
{
	struct token *token = got(&handle, FBK_RIGHT_WAIT);
	ck_assert_ptr_eq(token->handle, &handle);
	ck_assert_uint_eq(token->rights, FBK_RIGHT_WAIT);
	ck_assert(fcntl(token->fd, F_GETFD) & FD_CLOEXEC);
	ck_assert_ptr_eq(token_find(&registry, token->fd), token);
	int duplicate = fcntl(token->fd, F_DUPFD_CLOEXEC, 100);
	ck_assert_ptr_eq(token_find(&registry, duplicate), token); /* as good */
	close(duplicate);
}
END_TEST

START_TEST(one_for_each_mask)
{
	struct token *wait = got(&handle, FBK_RIGHT_WAIT);
	struct token *both = got(&handle, RIGHTS_ALL);
	struct token *others = got(&other, FBK_RIGHT_WAIT);
	ck_assert_ptr_ne(wait, both);
	ck_assert_ptr_ne(wait, others);
	ck_assert_ptr_eq(got(&handle, FBK_RIGHT_WAIT), wait);
	ck_assert_ptr_eq(got(&handle, RIGHTS_ALL), both);
	ck_assert_ptr_eq(token_find(&registry, both->fd), both);
	ck_assert_ptr_eq(token_find(&registry, others->fd), others);
	ck_assert_uint_eq(user_usage(client.user, ACCOUNT_TOKENS), 3);
	ck_assert_uint_eq(user_usage(client.user, ACCOUNT_FDS), 3);
}
END_TEST

/* A refused token does not exist, and can be created once there is room. */
START_TEST(limited)
{
	struct token *token = NULL;
	got(&handle, FBK_RIGHT_WAIT);
	got(&handle, FBK_RIGHT_SIGNAL);
	got(&handle, RIGHTS_ALL);
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(token_get(&other, FBK_RIGHT_WAIT, &token), -EDQUOT);
		ck_assert_ptr_null(token);
		ck_assert(LIST_EMPTY(&other.tokens));
	}
	ck_assert_uint_eq(user_usage(client.user, ACCOUNT_FDS), 3);
	token_destroy(got(&handle, RIGHTS_ALL));
	ck_assert_int_eq(token_get(&other, FBK_RIGHT_WAIT, &token), 0);
}
END_TEST

/* An fd that is called so, empty and sealed as a token is, or the token opened again. */
START_TEST(forged)
{
	struct token *token = got(&handle, FBK_RIGHT_WAIT);
	char path[32];
	int fd = memfd_create("fencebroker-token", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, fcntl(token->fd, F_GET_SEALS)), 0);
	ck_assert_ptr_null(token_find(&registry, fd));
	close(fd);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", token->fd);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) { /* root may */
		ck_assert_ptr_null(token_find(&registry, fd));
		close(fd);
	}
	fd = open(path, O_PATH | O_CLOEXEC);
	ck_assert_ptr_null(token_find(&registry, fd)); /* needs no permission, and gives none */
	close(fd);
	ck_assert_ptr_null(token_find(&registry, fd)); /* not open */
	ck_assert_ptr_null(token_find(&registry, -1));
}
END_TEST

START_TEST(nothing_in_it)
{
	struct token *token = got(&handle, FBK_RIGHT_WAIT);
	struct stat status;
	ck_assert_int_eq(fstat(token->fd, &status), 0);
	ck_assert_int_eq(status.st_size, 0);
	ck_assert_uint_eq(status.st_mode & 07777, 0);
	int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL;
	ck_assert_int_eq(fcntl(token->fd, F_GET_SEALS) & seals, seals);
	ck_assert_int_eq(write(token->fd, "x", 1), -1); /* nobody stores anything at our cost */
	ck_assert_int_eq(ftruncate(token->fd, 4096), -1);
}
END_TEST

/* The holder keeps the fd; it is worth nothing any more. */
START_TEST(destroyed)
{
	int kept = fcntl(got(&handle, FBK_RIGHT_WAIT)->fd, F_DUPFD_CLOEXEC, 100);
	token_destroy(got(&handle, FBK_RIGHT_WAIT));
	ck_assert_ptr_null(token_find(&registry, kept));
	struct token *next = got(&handle, FBK_RIGHT_WAIT);
	ck_assert_ptr_null(token_find(&registry, kept));
	ck_assert_ptr_eq(token_find(&registry, next->fd), next);
	close(kept);
	token_destroy(NULL);
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, found);
	tcase_add_test(tcase, one_for_each_mask);
	tcase_add_test(tcase, limited);
	tcase_add_test(tcase, forged);
	tcase_add_test(tcase, nothing_in_it);
	tcase_add_test(tcase, destroyed);
}

int main(void)
{
	return suite_main("token", add);
}
