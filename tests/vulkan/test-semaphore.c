// SPDX-License-Identifier: MIT
/* Semaphores as fds: where the driver has none it is said; where it has, we ask for the right thing. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "lib-gpu.h"

#define FD "VK_KHR_external_semaphore_fd"

static const struct {
	enum fbk_vk_fd kind;
	VkExternalSemaphoreHandleTypeFlagBits handle;
	VkSemaphoreImportFlags import;
	const char *name;
} kinds[] = {
	{ FBK_VK_FD_SYNC_FILE, VK_EXTERNAL_SEMAPHORE_HANDLE_TYPE_SYNC_FD_BIT,
	  VK_SEMAPHORE_IMPORT_TEMPORARY_BIT, "sync_files" },
	{ FBK_VK_FD_OPAQUE, VK_EXTERNAL_SEMAPHORE_HANDLE_TYPE_OPAQUE_FD_BIT, 0,
	  "opaque fds of binary semaphores" },
	{ FBK_VK_FD_OPAQUE_TIMELINE, VK_EXTERNAL_SEMAPHORE_HANDLE_TYPE_OPAQUE_FD_BIT, 0,
	  "opaque fds of timeline semaphores" },
};

static struct gpu gpu;

static void expect_refused(enum fbk_vk_fd kind, int error, const char *said)
{
	VkSemaphore semaphore = VK_NULL_HANDLE;
	int fd = eventfd(0, EFD_CLOEXEC), given = -1;
	ck_assert_int_eq(fbk_vk_semaphore_create(gpu.vk, kind, &semaphore), error);
	ck_assert_msg(strstr(fbk_vk_error_detail(), said) != NULL, "%s", fbk_vk_error_detail());
	ck_assert_int_eq(fbk_vk_semaphore_import(gpu.vk, kind, fd, &semaphore), error);
	ck_assert_int_lt(fcntl(fd, F_GETFD), 0); /* it was taken all the same */
	ck_assert_int_eq(fbk_vk_semaphore_export(gpu.vk, kind, semaphore, &given), error);
	ck_assert_int_eq(given, -1);
	ck_assert_ptr_null(semaphore);
}

START_TEST(without_the_extension)
{
	fake.hidden[0] = FD;
	gpu_open_fake(&gpu);
	expect_refused(kinds[_i].kind, -EOPNOTSUPP, kinds[_i].name);
	expect_refused(kinds[_i].kind, -EOPNOTSUPP, "it lacks " FD);
	gpu_close(&gpu);
}
END_TEST

/* Some have the extension, and not that. */
START_TEST(without_the_kind)
{
	fake.added[0] = FD;
	gpu_open_fake(&gpu);
	expect_refused(kinds[_i].kind, -EOPNOTSUPP, "does not export");
	expect_refused(kinds[_i].kind, -EOPNOTSUPP, kinds[_i].name);
	expect_refused(7, -EINVAL, "7 is not a kind of semaphore fd");
	gpu_close(&gpu);
}
END_TEST

START_TEST(there_and_back)
{
	VkSemaphore made, imported;
	int fd = eventfd(0, EFD_CLOEXEC), given = -1;
	fake.added[0] = FD;
	fake.semaphores = kinds[_i].handle;
	fake.export_fd = 1000;
	gpu_open_fake(&gpu);
	int r = fbk_vk_semaphore_create(gpu.vk, kinds[_i].kind, &made);
	ck_assert_msg(r == 0, "%s", fbk_vk_error_detail());
	ck_assert_uint_eq(fake.made.handleTypes, kinds[_i].handle);
	ck_assert_int_eq(fbk_vk_semaphore_export(gpu.vk, kinds[_i].kind, made, &given), 0);
	ck_assert_int_eq(given, 1000);
	ck_assert_ptr_eq(fake.exported.semaphore, made);
	ck_assert_int_eq(fake.exported.handleType, kinds[_i].handle);
	ck_assert_int_eq(fbk_vk_semaphore_import(gpu.vk, kinds[_i].kind, fd, &imported), 0);
	ck_assert_ptr_eq(fake.imported.semaphore, imported);
	ck_assert_int_eq(fake.imported.handleType, kinds[_i].handle);
	ck_assert_int_eq(fake.imported.flags, kinds[_i].import);
	ck_assert_int_eq(fake.imported.fd, fd);
	if (kinds[_i].kind == FBK_VK_FD_OPAQUE_TIMELINE) {
		ck_assert_uint_eq(gpu_semaphore_value(&gpu, imported), 0);
	}
	fbk_vk_semaphore_destroy(gpu.vk, imported);
	fbk_vk_semaphore_destroy(gpu.vk, made);
	fbk_vk_semaphore_destroy(gpu.vk, VK_NULL_HANDLE);
	gpu_close(&gpu);
}
END_TEST

static void add(TCase *tcase)
{
	ADD_LOOP(tcase, without_the_extension, kinds);
	ADD_LOOP(tcase, without_the_kind, kinds);
	ADD_LOOP(tcase, there_and_back, kinds);
}

int main(void)
{
	return gpu_suite("semaphore", add);
}
