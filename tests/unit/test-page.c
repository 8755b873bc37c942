// SPDX-License-Identifier: MIT
#include "daemon/core/page.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/suite.h"

#ifndef F_SEAL_EXEC
#define F_SEAL_EXEC 0x0020
#endif

#define NOBODY 65534
#define SIZE   8192

static struct account *account;
static struct user *user;
static uint64_t limits[ACCOUNT_RESOURCE_COUNT];

static void setup(void)
{
	for (size_t i = 0; i < ACCOUNT_RESOURCE_COUNT; i++) {
		limits[i] = account_limits[i].per_user;
	}
	limits[ACCOUNT_PAGE_BYTES] = 2 * SIZE;
	limits[ACCOUNT_FDS] = 2;
	ck_assert_int_eq(account_create(&account), 0);
	ck_assert_int_eq(account_user_ref(account, 1000, limits, &user), 0);
}

static void teardown(void)
{
	ck_assert_uint_eq(account_total(account, ACCOUNT_PAGE_BYTES), 0);
	ck_assert_uint_eq(account_total(account, ACCOUNT_FDS), 0);
	user_unref(user);
	account_destroy(account);
}

#define BOUNDED (F_SEAL_SHRINK | F_SEAL_GROW)

static const struct {
	enum fbk_page_kind kind;
	uint64_t size;
	int seals;
	uint32_t slots;
	uint32_t header, stride;
} kinds[] = {
	{ FBK_PAGE_PAYLOAD, SIZE, BOUNDED, 63, 128, 128 },
	{ FBK_PAGE_CONTROL, SIZE, F_SEAL_SEAL, 63, 128, 128 },
	{ FBK_PAGE_DAEMON, SIZE, F_SEAL_SEAL, 63, 128, 128 },
	{ FBK_PAGE_PAIR, sizeof(struct fbk_pair_page), BOUNDED | F_SEAL_SEAL, 4096, 4096, 64 },
};

START_TEST(created)
{
	struct page *page;
	struct stat status;
	limits[ACCOUNT_PAGE_BYTES] = UINT64_MAX;
	user_unref(user);
	ck_assert_int_eq(account_user_ref(account, 1000, limits, &user), 0);
	ck_assert_int_eq(page_create(kinds[_i].kind, 5, 6, kinds[_i].size, user, &page), 0);
	ck_assert_int_eq(fstat(page->fd, &status), 0);
	ck_assert_uint_eq(status.st_mode & 07777, 0600);
	ck_assert_int_eq(status.st_size, (off_t)kinds[_i].size);
	ck_assert_int_eq(fcntl(page->fd, F_GET_SEALS) & ~F_SEAL_EXEC, kinds[_i].seals);
	ck_assert(fcntl(page->fd, F_GETFD) & FD_CLOEXEC);
	ck_assert_uint_eq(page->slots, kinds[_i].slots);
	ck_assert_uint_eq(page->used, 0);
	ck_assert(!page->sealed);

	const struct fbk_page_header *header = page->memory;
	ck_assert_uint_eq(header->magic, FBK_PAGE_MAGIC);
	ck_assert_uint_eq(header->version, FBK_PAGE_VERSION);
	ck_assert_uint_eq(header->kind, kinds[_i].kind);
	ck_assert_uint_eq(header->header_size, kinds[_i].header);
	ck_assert_uint_eq(header->stride, kinds[_i].stride);
	ck_assert_uint_eq(header->slot_count, kinds[_i].slots);
	ck_assert_uint_eq(header->size, kinds[_i].size);
	ck_assert_uint_eq(header->page_id, 5);
	ck_assert_uint_eq(header->set_id, 6);
	ck_assert_uint_eq(user_usage(user, ACCOUNT_PAGE_BYTES), kinds[_i].size);
	ck_assert_uint_eq(user_usage(user, ACCOUNT_FDS), 1);
	page_unref(page);
}
END_TEST

START_TEST(destroyed)
{
	struct page *page;
	page_unref(NULL);
	ck_assert_int_eq(page_create(FBK_PAGE_CONTROL, 1, 1, SIZE, user, &page), 0);
	int fd = page->fd;
	page_unref(page);
	ck_assert_int_eq(fcntl(fd, F_GETFD), -1);
}
END_TEST

/* Refused because bytes or fds run out: nothing stays charged. */
START_TEST(charged)
{
	struct page *pages[3];
	ck_assert_int_eq(page_create(FBK_PAGE_CONTROL, 1, 1, SIZE, user, &pages[0]), 0);
	ck_assert_int_eq(page_create(FBK_PAGE_CONTROL, 2, 1, SIZE + 1, user, &pages[1]), -EDQUOT);
	ck_assert_uint_eq(user_usage(user, ACCOUNT_FDS), 1);
	ck_assert_int_eq(page_create(FBK_PAGE_CONTROL, 2, 1, SIZE / 2, user, &pages[1]), 0);
	ck_assert_int_eq(page_create(FBK_PAGE_CONTROL, 3, 1, SIZE / 2, user, &pages[2]), -EDQUOT);
	ck_assert_uint_eq(user_usage(user, ACCOUNT_PAGE_BYTES), SIZE + SIZE / 2);
	page_unref(pages[0]);
	page_unref(pages[1]);
}
END_TEST

static void expect_readonly(const struct page *page)
{
	int fd;
	ck_assert_int_eq(page_readonly_fd(page, &fd), 0);
	ck_assert_int_ne(fd, page->fd);
	ck_assert_int_eq(fcntl(fd, F_GETFL) & O_ACCMODE, O_RDONLY);
	ck_assert(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	ck_assert_ptr_eq(mmap(NULL, SIZE, PROT_WRITE, MAP_SHARED, fd, 0), MAP_FAILED);
	ck_assert_int_eq(ftruncate(fd, 0), -1);
	const struct fbk_page_header *header = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, fd, 0);
	ck_assert_ptr_ne(header, MAP_FAILED);
	ck_assert_uint_eq(header->page_id, page->id);
	munmap((void *)(uintptr_t)header, SIZE);
	close(fd);
}

START_TEST(readonly)
{
	struct page *page;
	ck_assert_int_eq(page_create(FBK_PAGE_DAEMON, 7, 1, SIZE, user, &page), 0);
	expect_readonly(page);
	page_unref(page);
}
END_TEST

/* A payload page is not shared while a process might still map it for writing. */
START_TEST(sealed)
{
	struct page *page;
	int fd = -5;
	ck_assert_int_eq(page_create(FBK_PAGE_PAYLOAD, 7, 1, SIZE, user, &page), 0);
	ck_assert_int_eq(page_readonly_fd(page, &fd), -EAGAIN);
	ck_assert_int_eq(fd, -5);
	uint64_t *mapped = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, page->fd, 0);
	ck_assert_ptr_ne(mapped, MAP_FAILED);
	ck_assert_int_eq(ftruncate(page->fd, SIZE - 1), -1);
	ck_assert_int_eq(ftruncate(page->fd, SIZE + 1), -1);
	ck_assert_int_eq(fcntl(page->fd, F_ADD_SEALS, F_SEAL_WRITE), -1); /* it is mapped */
	ck_assert_int_eq(page_seal(page), 0);
	ck_assert(page->sealed);
	ck_assert_int_eq(page_seal(page), 0); /* a second time is allowed */
	ck_assert_ptr_eq(mmap(NULL, SIZE, PROT_WRITE, MAP_SHARED, page->fd, 0), MAP_FAILED);
	ck_assert_int_eq(pwrite(page->fd, "x", 1, 128), -1);
	ck_assert_int_eq(fcntl(page->fd, F_ADD_SEALS, F_SEAL_WRITE), -1);
	expect_readonly(page);
	mapped[16] = 42; /* the earlier mapping still works, and the daemon sees its stores */
	ck_assert_uint_eq(((uint64_t *)page->memory)[16], 42);
	munmap(mapped, SIZE);
	page_unref(page);
}
END_TEST

/* Its owner sealed the seals: it stays unshared. */
START_TEST(sealed_against_sealing)
{
	struct page *page;
	int fd;
	ck_assert_int_eq(page_create(FBK_PAGE_PAYLOAD, 7, 1, SIZE, user, &page), 0);
	ck_assert_int_eq(fcntl(page->fd, F_ADD_SEALS, F_SEAL_SEAL), 0);
	ck_assert_int_eq(page_seal(page), -EPERM);
	ck_assert(!page->sealed);
	ck_assert_int_eq(page_readonly_fd(page, &fd), -EAGAIN);
	page_unref(page);
}
END_TEST

/* Another user with a read-only fd cannot make a writable one of it. */
START_TEST(opened_again_by_another)
{
	struct page *page;
	char path[32];
	int status;
	int fd;
	if (geteuid() != 0) {
		puts("not root: opened_again_by_another was not tried");
		return;
	}
	ck_assert_int_eq(page_create(FBK_PAGE_CONTROL, 7, 1, SIZE, user, &page), 0);
	ck_assert_int_eq(page_readonly_fd(page, &fd), 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	pid_t pid = fork();
	if (pid == 0) {
		if (setgid(NOBODY) < 0 || setuid(NOBODY) < 0) {
			_exit(1);
		}
		int flags[] = { O_RDWR, O_WRONLY, O_RDONLY };
		for (int i = 0; i < 3; i++) {
			if (open(path, flags[i] | O_CLOEXEC) >= 0 || errno != EACCES) {
				_exit(2 + i);
			}
		}
		_exit(fchmod(fd, 0666) == 0 ? 5 : 0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	close(fd);
	page_unref(page);
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	ADD_LOOP(tcase, created, kinds);
	tcase_add_test(tcase, destroyed);
	tcase_add_test(tcase, charged);
	tcase_add_test(tcase, readonly);
	tcase_add_test(tcase, sealed);
	tcase_add_test(tcase, sealed_against_sealing);
	tcase_add_test(tcase, opened_again_by_another);
}

int main(void)
{
	return suite_main("page", add);
}
