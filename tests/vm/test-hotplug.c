// SPDX-License-Identifier: MIT
/* Hardware comes after the daemon has started, and goes again: features follow, clients hear of it, and the same calls work
 * or say why not. Puts every device back at the end. */
#include "lib-link.h"

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
static char device[16]; /* of the driver; "": its device has no syncobjs */

static void driver_write(const char *file)
{
	char path[96];
	snprintf(path, sizeof(path), DRIVER "/%s", file);
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	EXPECT(fd >= 0);
	EXPECT(write(fd, device, strlen(device)) == (ssize_t)strlen(device));
	close(fd);
}

/* As soon as nobody uses it. */
static void vgem_unload(void)
{
	uint64_t until = now_ms() + PATIENCE_MS;
	while (system("modprobe -q -r vgem") != 0) {
		ck_assert_msg(now_ms() < until, "vgem is used for ever");
		yield_briefly();
	}
}

static void vgem_load(void)
{
	ck_assert_int_eq(system("modprobe vgem"), 0);
}

static void expect_promise(uint64_t value)
{
	int fd;
	ck_assert_msg(fbk_point_promise(lab_point(&lab, value), &fd) == 0, "%s",
		      fbk_error_detail());
	ck_assert_int_eq(sync_file_status(fd), 0);
	ck_assert_int_eq(fbk_timeline_signal(lab.timeline, value), 0);
	ck_assert(sync_file_wait(fd, PATIENCE_MS));
	close(fd);
}

static void expect_no_promise(uint64_t value)
{
	int fd = -1;
	ck_assert_int_eq(fbk_feature(lab.waiter, FBK_FEATURE_PROMISE, NULL), 0);
	ck_assert_int_eq(fbk_point_promise(lab_point(&lab, value), &fd), -EOPNOTSUPP);
	ck_assert_msg(strstr(fbk_error_detail(), "no vgem"), "%s", fbk_error_detail());
	ck_assert_int_eq(fd, -1);
}

START_TEST(vgem_comes_and_goes)
{
	vgem_unload();
	lab_open(&lab, lab_policy(60000));
	for (uint64_t value = 1; value <= 2; value++) {
		expect_no_promise(value);
		vgem_load();
		lab_await_feature(lab.waiter, FBK_FEATURE_PROMISE, 1);
		expect_promise(value);
		lab_await_feature(lab.signaler, FBK_FEATURE_PROMISE, 1);
		vgem_unload();
		lab_await_feature(lab.waiter, FBK_FEATURE_PROMISE, 0);
		lab_await_feature(lab.signaler, FBK_FEATURE_PROMISE, 0);
	}
	expect_no_promise(3);
	lab_close(&lab);
	vgem_load();
}
END_TEST

static void find_device(void)
{
	DIR *directory = opendir(DRIVER);
	struct dirent *entry;
	int fd = drm_render_open("virtio_gpu");
	bool has = fd >= 0 && drm_cap(fd, DRM_CAP_SYNCOBJ_TIMELINE);
	close(fd);
	while (directory && has && (entry = readdir(directory))) {
		if (strncmp(entry->d_name, "virtio", 6) == 0) {
			snprintf(device, sizeof(device), "%.15s", entry->d_name);
		}
	}
	if (directory) {
		closedir(directory);
	}
}

static struct fbk_timeline *follower(const char *name, int *ret_syncobj)
{
	struct fbk_mirror *mirror;
	struct fbk_timeline *line = peer_timeline(lab.imports, name, FBK_TIMELINE_BROKERED);
	ck_assert_int_eq(fbk_syncobj_create(lab.waiter, ret_syncobj), 0);
	ck_assert_int_eq(fbk_mirror_from_syncobj(line, *ret_syncobj, &mirror), 0);
	return line;
}

static void signal_syncobj(int syncobj, uint64_t point)
{
	uint32_t handle;
	int drm = drm_render_open("virtio_gpu");
	ck_assert_int_ge(drm, 0);
	ck_assert_int_eq(drmSyncobjFDToHandle(drm, syncobj, &handle), 0);
	ck_assert_int_eq(drmSyncobjTimelineSignal(drm, &handle, &point, 1), 0);
	close(drm);
}

static void expect_no_syncobj(void)
{
	int fd = -1;
	ck_assert_int_eq(fbk_syncobj_create(lab.waiter, &fd), -EOPNOTSUPP);
	ck_assert_int_eq(fbk_point_export(lab_point(&lab, 1), FBK_FENCE_SYNCOBJ_TIMELINE,
					  deadline_ms(PATIENCE_MS), &fd),
			 -EOPNOTSUPP);
	ck_assert_int_eq(fd, -1);
}

/* A consumer that waits on nothing but a syncobj: it can accept a link once there are mirrors. */
static struct fbk_device *picky_device(void)
{
	struct fbk_device *consumer;
	struct fbk_device_desc desc = {
		.struct_size = sizeof(desc),
		.name = "picky",
		.device_class = FBK_CLASS_COMPOSITOR,
		.waits = FBK_FENCE_SYNCOBJ_TIMELINE,
		.signals = FBK_FENCE_MEMORY64,
		.routes = 1U << FBK_ROUTE_SYNCOBJ_MIRROR | 1U << FBK_ROUTE_NATIVE,
	};
	ck_assert_int_eq(fbk_device_register(lab.waiter, &desc, &consumer), 0);
	return consumer;
}

static int offer_make(struct fbk_link **ret_link)
{
	int offer;
	struct fbk_link_desc desc = { .struct_size = sizeof(desc), .role = FBK_ROLE_PRODUCER };
	ck_assert_int_eq(fbk_link_offer(lab.device, &desc, &offer, ret_link), 0);
	return offer;
}

START_TEST(links_find_another_route)
{
	struct fbk_link *offered, *accepted;
	driver_write("unbind");
	lab_open(&lab, lab_policy(60000));
	struct fbk_device *consumer = picky_device();
	int offer = offer_make(&offered);
	ck_assert_int_eq(fbk_link_accept(consumer, offer, NULL, &accepted), -EOPNOTSUPP);
	driver_write("bind");
	lab_await_feature(lab.waiter, FBK_FEATURE_MIRRORS, 1);
	ck_assert_msg(fbk_link_accept(consumer, offer, NULL, &accepted) == 0, "%s",
		      fbk_error_detail());
	expect_routes(accepted, FBK_ROUTE_SYNCOBJ_MIRROR, FBK_ROUTE_NATIVE);
	close(offer);
	fbk_link_close(accepted);
	fbk_link_close(offered);
	lab_close(&lab);
}
END_TEST

/* What was made with the device that is gone ends with that as its cause, and not only when it is looked at. */
START_TEST(syncobjs_come_and_go)
{
	int fds[2];
	driver_write("unbind");
	lab_open(&lab, lab_policy(60000));
	expect_no_syncobj();
	for (int i = 0; i < 2; i++) {
		struct fbk_timeline_info info = { .struct_size = sizeof(info) };
		char name[24];
		driver_write("bind");
		lab_await_feature(lab.waiter, FBK_FEATURE_MIRRORS, 1);
		snprintf(name, sizeof(name), "follows%d", i);
		struct fbk_timeline *line = follower(name, &fds[i]);
		signal_syncobj(fds[i], 1);
		ck_assert_int_eq(
			fbk_point_wait((struct fbk_point){ line, 1 }, deadline_ms(PATIENCE_MS)), 0);
		driver_write("unbind");
		ck_assert_int_eq(
			fbk_point_wait((struct fbk_point){ line, 2 }, deadline_ms(PATIENCE_MS)),
			-ENODEV);
		ck_assert_int_eq(fbk_timeline_info(line, &info), 0);
		/* It can't be read, or followed to the next point. */
		ck_assert_msg(strstr(info.reason, "any more"), "%s", info.reason);
		lab_await_feature(lab.waiter, FBK_FEATURE_SYNCOBJ, 0);
		expect_no_syncobj();
	}
	/* What needs no such device never heard of any of this. */
	ck_assert_int_eq(fbk_timeline_signal(lab.timeline, 1), 0);
	ck_assert_int_eq(fbk_point_wait(lab_point(&lab, 1), deadline_ms(PATIENCE_MS)), 0);
	close(fds[0]);
	close(fds[1]);
	lab_close(&lab);
	driver_write("bind");
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_test(tcase, vgem_comes_and_goes);
	if (device[0]) {
		tcase_add_test(tcase, syncobjs_come_and_go);
		tcase_add_test(tcase, links_find_another_route);
	}
}

int main(void)
{
	if (in_guest()) {
		find_device();
	}
	return lab_main("hotplug", "vgem", add);
}
