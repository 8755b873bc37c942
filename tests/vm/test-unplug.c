// SPDX-License-Identifier: MIT
/* The DRM device that the daemon uses goes away. Whatever needs it fails with that reason;
 * everything else goes on. Puts the device back at the end. */
#include "lib-lab.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xf86drm.h>

#define DRIVER "/sys/bus/virtio/drivers/virtio_gpu"

static struct lab lab;
static char device[16]; /* of the driver */

static void driver_write(const char *file, const char *text)
{
	char path[96];
	snprintf(path, sizeof(path), DRIVER "/%s", file);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static void find_device(void)
{
	DIR *directory = opendir(DRIVER);
	struct dirent *entry;
	ck_assert_ptr_nonnull(directory);
	while ((entry = readdir(directory))) {
		if (strncmp(entry->d_name, "virtio", 6) == 0) {
			snprintf(device, sizeof(device), "%.15s", entry->d_name);
		}
	}
	closedir(directory);
	ck_assert(device[0]);
}

static void setup(void)
{
	find_device();
	lab_open(&lab, lab_policy(60000));
}

static void teardown(void)
{
	lab_close(&lab);
	driver_write("bind", device);
}

static struct fbk_timeline *brokered(const char *name)
{
	return peer_timeline(lab.imports, name, FBK_TIMELINE_BROKERED);
}

START_TEST(device_goes)
{
	struct fbk_mirror *to, *from;
	struct fbk_timeline_info info = { .struct_size = sizeof(info) };
	struct fbk_timeline *follows = brokered("follows");
	struct fbk_timeline *plain = brokered("plain");
	int first, second, event, fd;
	char log[4096];
	ck_assert_int_eq(fbk_syncobj_create(lab.waiter, &first), 0);
	ck_assert_int_eq(fbk_syncobj_create(lab.waiter, &second), 0);
	ck_assert_int_eq(fbk_mirror_to_syncobj(lab.opened, first, &to), 0);
	ck_assert_int_eq(fbk_mirror_from_syncobj(follows, second, &from), 0);
	ck_assert_int_eq(fbk_point_export(lab_point(&lab, 1), FBK_FENCE_EVENTFD,
					  deadline_ms(PATIENCE_MS), &event),
			 0);
	driver_write("unbind", device);

	/* Needs no device: waits, eventfds, imports of sync_files, and late sync_files, which are
	 * then made in another way. */
	ck_assert_int_eq(fbk_timeline_signal(lab.timeline, 1), 0);
	ck_assert_int_eq(fbk_point_wait(lab_point(&lab, 1), deadline_ms(PATIENCE_MS)), 0);
	ck_assert_int_eq(readable_within(event, PATIENCE_MS), 1);
	ck_assert_int_eq(fbk_point_export(lab_point(&lab, 1), FBK_FENCE_SYNC_FILE,
					  deadline_ms(PATIENCE_MS), &fd),
			 0);
	ck_assert_int_eq(sync_file_status(fd), 1);
	ck_assert_int_eq(fbk_point_signal_on((struct fbk_point){ plain, 1 }, fd), 0);
	ck_assert_int_eq(fbk_point_wait((struct fbk_point){ plain, 1 }, deadline_ms(PATIENCE_MS)),
			 0);

	/* Needs the device. */
	lab_await_feature(lab.waiter, FBK_FEATURE_SYNCOBJ, 0);
	ck_assert_int_eq(fbk_syncobj_create(lab.waiter, &fd), -EOPNOTSUPP);
	ck_assert_msg(strstr(fbk_error_detail(), "no DRM device"), "%s", fbk_error_detail());
	ck_assert_int_eq(fbk_point_export(lab_point(&lab, 2), FBK_FENCE_SYNCOBJ_TIMELINE,
					  deadline_ms(PATIENCE_MS), &fd),
			 -EOPNOTSUPP);
	ck_assert_msg(strstr(fbk_error_detail(), "no DRM device"), "%s", fbk_error_detail());
	ck_assert_int_eq(fbk_point_wait((struct fbk_point){ follows, 1 }, deadline_ms(PATIENCE_MS)),
			 -ENODEV);
	ck_assert_int_eq(fbk_timeline_info(follows, &info), 0);
	ck_assert_msg(strstr(info.reason, "can't be read any more"), "%s", info.reason);
	daemon_log_text(&lab.daemon, log, sizeof(log));
	ck_assert_msg(strstr(log, "can't signal the syncobj"), "%s", log);
	close(first);
	close(second);
	close(event);
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, device_goes);
}

int main(void)
{
	if (!in_guest()) {
		return lab_main("unplug", NULL, add);
	}
	int fd = drm_render_open("virtio_gpu");
	bool has = fd >= 0 && drm_cap(fd, DRM_CAP_SYNCOBJ_TIMELINE);
	close(fd);
	return has ? lab_main("unplug", "virtio_gpu", add)
		   : skip("this guest's device has no syncobjs that could go");
}
