// SPDX-License-Identifier: MIT
/* What needs a kernel's device, over and over: nothing piles up, here or at the daemon. See integration/test-constant.c. */
#include "lib-lab.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>
#include <xf86drm.h>

#include "../integration/lib-constant.h"

static struct lab lab;
static int card, drm, dmabuf;
static int fences; /* the test driver's */
static uint32_t buffer;
static uint64_t value; /* of the lab's timeline */
static struct fbk_timeline *follows;

static void setup(void)
{
	lab_open(&lab, lab_policy(60000));
	card = drm_card_must_open("vgem");
	ck_assert_int_eq(vgem_buffer_create(card, &buffer, &dmabuf), 0);
	drm = drm_render_open("virtio_gpu");
	fences = test_fence_open();
	ck_assert_int_ge(fences, 0);
	follows = peer_timeline(lab.imports, "follows", FBK_TIMELINE_BROKERED);
	value = 0;
}

static void teardown(void)
{
	lab_close(&lab);
	close(dmabuf);
	drm_buffer_close(card, buffer);
	close(card);
	close(fences);
	if (drm >= 0) {
		close(drm);
	}
}

static void settle(void)
{
	char text[256];
	ck_assert_int_eq(fbk_point_blame(lab_point(&lab, value + 1), text, sizeof(text)), 0);
	ck_assert_int_eq(
		fbk_point_blame((struct fbk_point){ follows, FBK_POINT_MAX }, text, sizeof(text)),
		0);
}

/* ---------------------------------------------------------------------------------------- syncobjs -- */

static void syncobj_signal_fd(int fd, uint64_t point)
{
	uint32_t handle;
	ck_assert_int_eq(drmSyncobjFDToHandle(drm, fd, &handle), 0);
	ck_assert_int_eq(drmSyncobjTimelineSignal(drm, &handle, &point, 1), 0);
	ck_assert_int_eq(drmSyncobjDestroy(drm, handle), 0);
}

static int syncobj_made(void)
{
	int fd;
	ck_assert_int_eq(fbk_syncobj_create(lab.waiter, &fd), 0);
	return fd;
}

static void round_export_to_syncobj(void)
{
	int fd = syncobj_made();
	ck_assert_int_eq(
		fbk_point_export_to_syncobj(lab_point(&lab, ++value), fd, 1, FBK_DEADLINE_MAX), 0);
	ck_assert_int_eq(fbk_timeline_signal(lab.timeline, value), 0);
	close(fd);
}

static void round_signal_on_syncobj(void)
{
	struct fbk_timeline *line = peer_timeline(lab.imports, "once", FBK_TIMELINE_BROKERED);
	int fd = syncobj_made();
	syncobj_signal_fd(fd, 3);
	ck_assert_int_eq(fbk_point_signal_on_syncobj((struct fbk_point){ line, 1 }, fd, 3), 0);
	ck_assert_int_eq(fbk_point_wait((struct fbk_point){ line, 1 }, deadline_ms(PATIENCE_MS)),
			 0);
	close(fd);
	fbk_timeline_close(line);
}

/* A point that is submitted too late. Only that ends the kernel's wait for it: else the daemon keeps its end for a minute. */
static void round_syncobj_late(void)
{
	struct fbk_timeline *line = peer_timeline(lab.imports, "late", FBK_TIMELINE_BROKERED);
	int fd = syncobj_made();
	ck_assert_int_eq(fbk_point_signal_on_syncobj((struct fbk_point){ line, 1 }, fd, 3), 0);
	fbk_timeline_close(line);
	syncobj_signal_fd(fd, 3);
	close(fd);
}

static void round_mirrors(void)
{
	struct fbk_timeline *from = peer_timeline(lab.imports, "from", FBK_TIMELINE_BROKERED);
	struct fbk_timeline *to = peer_timeline(lab.imports, "to", FBK_TIMELINE_BROKERED);
	struct fbk_mirror *out, *in;
	int fd = syncobj_made();
	ck_assert_int_eq(fbk_mirror_to_syncobj(from, fd, &out), 0);
	ck_assert_int_eq(fbk_mirror_from_syncobj(to, fd, &in), 0);
	ck_assert_int_eq(fbk_timeline_signal(from, 1), 0);
	ck_assert_int_eq(fbk_point_wait((struct fbk_point){ to, 1 }, deadline_ms(PATIENCE_MS)), 0);
	fbk_mirror_destroy(in);
	fbk_mirror_destroy(out);
	syncobj_signal_fd(fd, 2); /* as in round_syncobj_late() */
	close(fd);
	fbk_timeline_close(to);
	fbk_timeline_close(from);
}

/* ------------------------------------------------------------------------------ promises, dma-bufs -- */

static void round_promise(void)
{
	int fd;
	ck_assert_int_eq(fbk_point_promise(lab_point(&lab, ++value), &fd), 0);
	ck_assert_int_eq(fbk_timeline_signal(lab.timeline, value), 0);
	ck_assert_int_eq(readable_within(fd, PATIENCE_MS), 1);
	close(fd);
}

static void round_attach(void)
{
	ck_assert_int_eq(fbk_point_attach_dmabuf(lab_point(&lab, ++value), dmabuf, true), 0);
	ck_assert_int_eq(fbk_timeline_signal(lab.timeline, value), 0);
	ck_assert_int_eq(readable_within(dmabuf, PATIENCE_MS), 1);
}

static void round_signal_on_dmabuf(void)
{
	struct fbk_timeline *line = peer_timeline(lab.imports, "release", FBK_TIMELINE_BROKERED);
	struct fbk_point release = { line, 1 };
	uint32_t id;
	ck_assert_int_eq(vgem_fence_attach(card, buffer, true, &id), 0);
	ck_assert_int_eq(fbk_point_signal_on_dmabuf(release, dmabuf, false), 0);
	ck_assert_int_eq(vgem_signal(card, id), 0);
	ck_assert_int_eq(fbk_point_wait(release, deadline_ms(PATIENCE_MS)), 0);
	ck_assert_int_eq(fbk_point_flush_dmabuf(release, dmabuf), 0);
	fbk_timeline_close(line);
}

static void round_memory(void)
{
	struct fbk_device_desc desc = { .struct_size = sizeof(desc),
					.name = "engine",
					.device_class = FBK_CLASS_CPU,
					.signals = FBK_FENCE_MEMORY64,
					.silent = true,
					.backings = FBK_BACKING_OWN };
	struct fbk_device *engine;
	int memory = test_buffer_create(fences, 4096, false);
	ck_assert_int_eq(fbk_device_register(lab.signaler, &desc, &engine), 0);
	ck_assert_int_eq(fbk_device_add_memory(engine, memory, 0, 4096), 0);
	fbk_device_unregister(engine);
	close(memory);
}

/* -------------------------------------------------------------------------------------------------- */

static void (*const of_vgem[])(void) = { round_promise, round_attach, round_signal_on_dmabuf,
					 round_memory };
static void (*const of_syncobjs[])(void) = { round_export_to_syncobj, round_signal_on_syncobj,
					     round_syncobj_late, round_mirrors };

START_TEST(dmabufs_pile_up_nothing)
{
	expect_constant(&lab.daemon, of_vgem[_i], settle);
}
END_TEST

START_TEST(syncobjs_pile_up_nothing)
{
	lab_await_feature(lab.waiter, FBK_FEATURE_MIRRORS, 1);
	expect_constant(&lab.daemon, of_syncobjs[_i], settle);
}
END_TEST

static void add(TCase *tcase)
{
	int fd = drm_render_open("virtio_gpu");
	tcase_add_checked_fixture(tcase, setup, teardown);
	ADD_LOOP(tcase, dmabufs_pile_up_nothing, of_vgem);
	if (fd >= 0 && drm_cap(fd, DRM_CAP_SYNCOBJ_TIMELINE)) { /* not Linux 6.1's */
		ADD_LOOP(tcase, syncobjs_pile_up_nothing, of_syncobjs);
	}
	close(fd);
}

int main(void)
{
	return lab_main("constant", "vgem", add);
}
