// SPDX-License-Identifier: MIT
/* The lab itself: the other tests rely on these functions of the guest. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <systemd/sd-bus.h>
#include <unistd.h>
#include <xf86drm.h>
#include <xf86drmMode.h>

#include "lib-kernel.h"
#include "tests/integration/lib-daemon.h"

START_TEST(kernel_as_asked)
{
	bool newer = kernel_is(6, 12);
	ck_assert_str_eq(guest_kernel(), newer ? "6.12" : "6.1");
	EXPECT(kernel_is(6, 1) && !kernel_is(7, 0));
}
END_TEST

START_TEST(vgem_signals)
{
	struct vgem_fence fence;
	struct sync_file_state state;
	int card = drm_card_must_open("vgem");
	vgem_fence_create(card, &fence);
	ck_assert_int_eq(sync_file_status(fence.sync_file), 0);
	EXPECT(!sync_file_wait(fence.sync_file, 10));
	ck_assert_int_eq(vgem_fence_signal(&fence), 0);
	EXPECT(sync_file_wait(fence.sync_file, 0));
	ck_assert_int_eq(sync_file_info(fence.sync_file, &state), 0);
	ck_assert_int_eq(state.status, 1);
	ck_assert_uint_eq(state.fences, 1);
	ck_assert_str_eq(state.driver, "vgem");
	EXPECT(state.timestamp_ns > 0);
	vgem_fence_destroy(&fence);
	close(card);
}
END_TEST

/* A second writer of the same buffer must wait for the first. */
START_TEST(vgem_busy)
{
	struct vgem_fence fence;
	uint32_t id;
	int card = drm_card_must_open("vgem");
	vgem_fence_create(card, &fence);
	ck_assert_int_eq(vgem_fence_attach(card, fence.buffer, true, &id), -EBUSY);
	ck_assert_int_eq(vgem_fence_signal(&fence), 0);
	ck_assert_int_eq(vgem_fence_attach(card, fence.buffer, true, &id), 0);
	ck_assert_int_eq(vgem_signal(card, id), 0);
	vgem_fence_destroy(&fence);
	close(card);
}
END_TEST

START_TEST(vgem_closed)
{
	struct vgem_fence fence;
	int card = drm_card_must_open("vgem");
	vgem_fence_create(card, &fence);
	close(card);
	ck_assert_int_eq(sync_file_status(fence.sync_file), 1);
	close(fence.sync_file);
	close(fence.dmabuf);
}
END_TEST

/* An implicit fence that was added to a dma-buf comes out again. */
START_TEST(implicit)
{
	uint32_t buffer, id;
	int dmabuf;
	int card = drm_card_must_open("vgem");
	int device = test_fence_open();
	ck_assert_int_eq(vgem_buffer_create(card, &buffer, &dmabuf), 0);
	int fence = test_fence_create(device, &id);
	EXPECT(fence >= 0);
	ck_assert_int_eq(dmabuf_import_sync_file(dmabuf, fence, true), 0);
	int out = dmabuf_export_sync_file(dmabuf, false);
	EXPECT(out >= 0);
	ck_assert_int_eq(sync_file_status(out), 0);
	ck_assert_int_eq(test_fence_signal(device, id, 0), 0);
	ck_assert_int_eq(sync_file_status(out), 1);
	close(out);
	close(fence);
	close(dmabuf);
	drm_buffer_close(card, buffer);
	close(device);
	close(card);
}
END_TEST

static const int errors[] = { 0, -EIO, -ETIME, -EOWNERDEAD, -4095 };

START_TEST(test_fence_errors)
{
	struct sync_file_state state;
	uint32_t id;
	int error = errors[_i];
	int device = test_fence_open();
	EXPECT(device >= 0);
	int fence = test_fence_create(device, &id);
	EXPECT(fence >= 0);
	ck_assert_int_eq(sync_file_status(fence), 0);
	EXPECT(!sync_file_wait(fence, 0));
	ck_assert_int_eq(test_fence_signal(device, id + 1, error), -ENOENT);
	ck_assert_int_eq(test_fence_signal(device, id, 1), -EINVAL);
	ck_assert_int_eq(test_fence_signal(device, id, -4096), -EINVAL);
	ck_assert_int_eq(test_fence_signal(device, id, error), 0);
	ck_assert_int_eq(test_fence_signal(device, id, 0), -ENOENT);
	EXPECT(sync_file_wait(fence, 0));
	ck_assert_int_eq(sync_file_info(fence, &state), 0);
	ck_assert_int_eq(state.status, error < 0 ? error : 1);
	ck_assert_int_eq(state.fence_status, state.status);
	ck_assert_str_eq(state.driver, FBK_TEST_FENCE_DRIVER);
	close(fence);
	close(device);
}
END_TEST

START_TEST(test_fence_abandoned)
{
	uint32_t id;
	int device = test_fence_open();
	int fence = test_fence_create(device, &id);
	EXPECT(fence >= 0);
	close(device);
	EXPECT(sync_file_wait(fence, 0));
	ck_assert_int_eq(sync_file_status(fence), -ENOENT);
	close(fence);
}
END_TEST

START_TEST(test_fence_deadlines)
{
	uint64_t deadline = 1;
	uint32_t id;
	int device = test_fence_open();
	int fence = test_fence_create(device, &id);
	EXPECT(fence >= 0);
	if (kernel_is(6, 8)) {
		ck_assert_int_eq(test_fence_deadline(device, id, &deadline), 0);
		ck_assert_uint_eq(deadline, 0);
		ck_assert_int_eq(sync_file_set_deadline(fence, 123456789), 0);
		ck_assert_int_eq(test_fence_deadline(device, id, &deadline), 0);
		ck_assert_uint_eq(deadline, 123456789);
	} else {
		ck_assert_int_eq(sync_file_set_deadline(fence, 123456789), -ENOTTY);
		ck_assert_int_eq(test_fence_deadline(device, id, &deadline), -EOPNOTSUPP);
	}
	close(fence);
	close(device);
}
END_TEST

START_TEST(syncobjs)
{
	struct sync_file_state state;
	uint32_t handle, id;
	uint64_t point = 0;
	uint64_t count;
	int card = drm_card_must_open("virtio_gpu");
	if (!kernel_is(6, 6)) {
		ck_assert_uint_eq(drm_cap(card, DRM_CAP_SYNCOBJ_TIMELINE), 0);
		close(card);
		return;
	}
	ck_assert_uint_eq(drm_cap(card, DRM_CAP_SYNCOBJ_TIMELINE), 1);
	int device = test_fence_open();
	int fence = test_fence_create(device, &id);
	int event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ck_assert_int_eq(drmSyncobjCreate(card, 0, &handle), 0);
	ck_assert_int_eq(syncobj_import_point(card, handle, 5, fence), 0);
	ck_assert_int_eq(syncobj_eventfd(card, handle, 5, event), 0);
	int out = syncobj_export_point(card, handle, 5);
	EXPECT(out >= 0);
	ck_assert_int_eq(syncobj_query(card, handle, &point), 0);
	ck_assert_uint_eq(point, 0);
	EXPECT(read(event, &count, sizeof(count)) < 0 && errno == EAGAIN);
	ck_assert_int_eq(test_fence_signal(device, id, -EIO), 0);
	EXPECT(sync_file_wait(event, PATIENCE_MS)); /* poll is poll */
	ck_assert_int_eq(syncobj_query(card, handle, &point), 0);
	ck_assert_uint_eq(point, 5);
	ck_assert_int_eq(sync_file_info(out, &state), 0);
	ck_assert_int_eq(state.status, -EIO);
	drmSyncobjDestroy(card, handle);
	close(out);
	close(event);
	close(fence);
	close(device);
	close(card);
}
END_TEST

START_TEST(display)
{
	int card = drm_card_must_open("virtio_gpu");
	drmModeRes *resources = drmModeGetResources(card);
	EXPECT(resources && resources->count_crtcs >= 1 && resources->count_connectors >= 1);
	drmModeConnector *connector = drmModeGetConnector(card, resources->connectors[0]);
	EXPECT(connector && connector->connection == DRM_MODE_CONNECTED);
	EXPECT(connector->count_modes >= 1);
	drmModeFreeConnector(connector);
	drmModeFreeResources(resources);
	close(card);
}
END_TEST

START_TEST(render_nodes)
{
	static const char *const drivers[] = { "vgem", "virtio_gpu" };
	for (size_t i = 0; i < 2; i++) {
		int fd = drm_render_open(drivers[i]);
		EXPECT(fd >= 0);
		ck_assert_int_eq(drmGetNodeTypeFromFd(fd), DRM_NODE_RENDER);
		close(fd);
	}
	ck_assert_int_eq(drm_card_open("nosuch"), -ENODEV);
}
END_TEST

START_TEST(capture_device)
{
	EXPECT(access("/dev/video0", R_OK | W_OK) == 0);
}
END_TEST

START_TEST(service_manager)
{
	char name[32] = "";
	FILE *file = fopen("/proc/1/comm", "re");
	EXPECT(file && fgets(name, sizeof(name), file));
	fclose(file);
	ck_assert_str_eq(name, "systemd\n");

	sd_bus *bus = NULL;
	char *version = NULL;
	ck_assert_int_ge(sd_bus_open_system(&bus), 0);
	ck_assert_int_ge(sd_bus_get_property_string(
				 bus, "org.freedesktop.systemd1", "/org/freedesktop/systemd1",
				 "org.freedesktop.systemd1.Manager", "Version", NULL, &version),
			 0);
	EXPECT(strstr(version, "252"));
	free(version);
	ck_assert_int_ge(sd_bus_get_property_string(bus, "org.freedesktop.PolicyKit1",
						    "/org/freedesktop/PolicyKit1/Authority",
						    "org.freedesktop.PolicyKit1.Authority",
						    "BackendName", NULL, &version),
			 0);
	free(version);
	sd_bus_flush_close_unref(bus);
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_test(tcase, kernel_as_asked);
	tcase_add_test(tcase, vgem_signals);
	tcase_add_test(tcase, vgem_busy);
	tcase_add_test(tcase, vgem_closed);
	tcase_add_test(tcase, implicit);
	ADD_LOOP(tcase, test_fence_errors, errors);
	tcase_add_test(tcase, test_fence_abandoned);
	tcase_add_test(tcase, test_fence_deadlines);
	tcase_add_test(tcase, syncobjs);
	tcase_add_test(tcase, display);
	tcase_add_test(tcase, render_nodes);
	tcase_add_test(tcase, capture_device);
	tcase_add_test(tcase, service_manager);
}

int main(void)
{
	return in_guest() ? suite_main("lab", add) : skip("this runs in a guest of tests/vm/guest");
}
