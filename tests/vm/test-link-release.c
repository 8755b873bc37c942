// SPDX-License-Identifier: MIT
/* Frames whose consumers release them at a point and read on until then, for producers that wait
 * for kernel fences. */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>
#include <xf86drm.h>

#include "lib-link.h"

static struct daemon server;

static void setup(void)
{
	daemon_serve(&server, lab_policy(60000));
}

static void teardown(void)
{
	daemon_stop(&server);
}

/* Plain libdrm: the syncobj follows the consumer's timeline. */
static void release_by_syncobj(const struct fbk_release *release, void *arg)
{
	int drm = *(const int *)arg, fd;
	uint64_t point = release->point.value;
	int64_t until = (int64_t)(now_ms() + PATIENCE_MS) * 1000000;
	uint32_t syncobj;
	int r = fbk_release_fd(release, deadline_ms(PATIENCE_MS), &fd);
	ck_assert_msg(r == 0, "a release's fd: %s", fbk_error_detail());
	EXPECT(drmSyncobjFDToHandle(drm, fd, &syncobj) == 0);
	EXPECT(drmSyncobjTimelineWait(drm, &syncobj, &point, 1, until,
				      DRM_SYNCOBJ_WAIT_FLAGS_WAIT_FOR_SUBMIT, NULL) == 0);
	drmSyncobjDestroy(drm, syncobj);
	close(fd);
}

static const struct kind {
	const char *name;
	uint32_t waits; /* the producer's */
	enum fbk_route release;
	release_fn *wait;
} kinds[] = {
	{ "syncobj-mirror", FBK_FENCE_SYNCOBJ_TIMELINE, FBK_ROUTE_SYNCOBJ_MIRROR,
	  release_by_syncobj },
	{ "sync_file-late", FBK_FENCE_SYNC_FILE, FBK_ROUTE_SYNC_FILE_LATE, release_by_fd },
};

static int consumer_run(int socket, void *arg)
{
	static const struct fbk_device_desc desc = { .struct_size = sizeof(struct fbk_device_desc),
						     .name = "consumer",
						     .device_class = FBK_CLASS_ENCODER,
						     .waits = FBK_FENCE_MEMORY64,
						     .signals = FBK_FENCE_MEMORY64 };
	struct consumer consumer;
	(void)arg;
	consumer_open(&consumer, &server, &desc, socket);
	ck_assert_uint_eq(consume_later(consumer.link), LINK_FRAMES);
	consumer_close(&consumer);
	return 0;
}

START_TEST(each_route)
{
	const struct kind *kind = &kinds[_i];
	struct fbk_device_desc desc = { .struct_size = sizeof(struct fbk_device_desc),
					.name = "producer",
					.device_class = FBK_CLASS_GPU,
					.waits = kind->waits,
					.signals = FBK_FENCE_MEMORY64 };
	struct producer producer;
	struct peer peer;
	int offer;
	int drm = drm_render_open("virtio_gpu");
	if (kind->release == FBK_ROUTE_SYNCOBJ_MIRROR && !has_syncobj_eventfd()) {
		printf("not run: syncobj-mirror, for which Linux 6.6 and a DRM device with "
		       "timeline syncobjs are needed\n");
		return;
	}
	peer_start(&peer, consumer_run, NULL);
	producer_offer(&producer, &server, &desc, &offer);
	producer_fill(&producer, false);
	send_word(peer.socket, 0, offer);
	close(offer);
	uint64_t began = now_ms();
	producer_meet(&producer);
	expect_routes(producer.link, FBK_ROUTE_NATIVE, kind->release);
	for (int i = 0; i < LINK_FRAMES; i++) {
		producer_frame_early(&producer, kind->wait, &drm);
	}
	exchange_drain(producer.exchange, PRODUCER_BUFFERS);
	print_frames(kind->name, LINK_FRAMES, began);
	producer_close(&producer);
	ck_assert_int_eq(patient_wait(&peer), 0);
	close(drm);
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	ADD_LOOP(tcase, each_route, kinds);
}

int main(void)
{
	return lab_main("link release", "vgem", add);
}
