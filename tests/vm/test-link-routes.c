// SPDX-License-Identifier: MIT
/* Frames over each existing route: the consumer waits only for the fence that the route gives
 * it. */
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

/* ------------------------------------------------------------------------------------- waiting -- */

/*
 * Each follows its route: it waits as the devices of that route do. The fence is there before the
 * frame is drawn, and is seen not to be signalled; then the producer is told to draw.
 */
struct waiter {
	struct consumer consumer;
	int socket;       /* to the producer */
	int drm;          /* of some device: any can open a syncobj */
	uint32_t syncobj; /* the producer's timeline, opened there */
};

static void draw_now(const struct waiter *waiter)
{
	send_word(waiter->socket, 1, -1);
}

static int wait_native(struct fbk_frame *frame, uint64_t number, void *arg)
{
	EXPECT(fbk_frame_acquire_fd(frame, deadline_ms(PATIENCE_MS)) == -EOPNOTSUPP);
	EXPECT(fbk_point_check(fbk_frame_acquire(frame)) == -EAGAIN);
	draw_now(arg);
	return wait_point(frame, number, NULL);
}

/* Plain libdrm: a consumer that waits before the producer has submitted. */
static int wait_syncobj(struct fbk_frame *frame, uint64_t number, void *arg)
{
	struct waiter *waiter = arg;
	uint64_t point = fbk_frame_acquire(frame).value, now;
	int64_t until = (int64_t)(now_ms() + PATIENCE_MS) * 1000000;
	(void)number;
	if (!waiter->syncobj) {
		int fd = fbk_frame_acquire_fd(frame, deadline_ms(PATIENCE_MS));
		EXPECT(drmSyncobjFDToHandle(waiter->drm, fd, &waiter->syncobj) == 0);
	}
	EXPECT(syncobj_query(waiter->drm, waiter->syncobj, &now) == 0 && now < point);
	draw_now(waiter);
	return drmSyncobjTimelineWait(waiter->drm, &waiter->syncobj, &point, 1, until,
				      DRM_SYNCOBJ_WAIT_FLAGS_WAIT_FOR_SUBMIT, NULL);
}

static int wait_eventfd(struct fbk_frame *frame, uint64_t number, void *arg)
{
	EXPECT(readable_within(fbk_frame_acquire_fd(frame, deadline_ms(PATIENCE_MS)), 0) == 0);
	draw_now(arg);
	return wait_fd(frame, number, NULL);
}

static void count_opened(void *arg, struct fbk_point point, int result)
{
	(void)point;
	EXPECT(result == 0);
	++*(int *)arg;
}

static int wait_gate(struct fbk_frame *frame, uint64_t number, void *arg)
{
	const struct waiter *waiter = arg;
	struct fbk_context *context = waiter->consumer.context;
	int opened = 0;
	(void)number;
	EXPECT(fbk_frame_acquire_fd(frame, deadline_ms(PATIENCE_MS)) == -EOPNOTSUPP);
	EXPECT(fbk_point_watch(fbk_frame_acquire(frame), deadline_ms(PATIENCE_MS), count_opened,
			       &opened, NULL) == 0);
	EXPECT(fbk_dispatch(context) >= 0 && !opened);
	draw_now(waiter);
	while (!opened) {
		loop_turn(context);
	}
	return 0;
}

/* Without library and point: by the buffer's own fences. */
static int wait_dmabuf(struct fbk_frame *frame, uint64_t number, void *arg)
{
	(void)number;
	EXPECT(readable_within(frame_fd(frame), 0) == 0);
	draw_now(arg);
	EXPECT(readable_within(frame_fd(frame), PATIENCE_MS) == 1);
	return 0;
}

/* It comes when the frame is drawn, and is signalled already. */
static int wait_late(struct fbk_frame *frame, uint64_t number, void *arg)
{
	(void)number;
	draw_now(arg);
	int fd = fbk_frame_acquire_fd(frame, deadline_ms(PATIENCE_MS));
	EXPECT(sync_file_status(fd) == 1);
	EXPECT(readable_within(fd, 0) == 1);
	return 0;
}

static int wait_promise(struct fbk_frame *frame, uint64_t number, void *arg)
{
	(void)number;
	int fd = fbk_frame_acquire_fd(frame, deadline_ms(PATIENCE_MS));
	EXPECT(sync_file_status(fd) == 0);
	EXPECT(readable_within(fd, 0) == 0);
	draw_now(arg);
	EXPECT(sync_file_wait(fd, PATIENCE_MS));
	return 0;
}

/* -------------------------------------------------------------------------------------- routes -- */

struct kind {
	const char *name;
	uint32_t waits; /* the consumer's */
	uint32_t routes;
	enum fbk_route acquire;
	consumer_fn *wait; /* NULL: the frame comes when it is drawn */
};

static const struct kind kinds[] = {
	{ "native", FBK_FENCE_MEMORY64, 0, FBK_ROUTE_NATIVE, wait_native },
	{ "syncobj-mirror", FBK_FENCE_SYNCOBJ_TIMELINE, 0, FBK_ROUTE_SYNCOBJ_MIRROR, wait_syncobj },
	{ "eventfd", FBK_FENCE_EVENTFD, 0, FBK_ROUTE_EVENTFD, wait_eventfd },
	{ "gate", 0, 0, FBK_ROUTE_GATE, wait_gate },
	{ "dma-buf-implicit", FBK_FENCE_DMA_BUF_IMPLICIT, 0, FBK_ROUTE_DMA_BUF_IMPLICIT,
	  wait_dmabuf },
	{ "sync_file-late", FBK_FENCE_SYNC_FILE, 0, FBK_ROUTE_SYNC_FILE_LATE, wait_late },
	{ "sync_file-promise", FBK_FENCE_SYNC_FILE, 1U << FBK_ROUTE_SYNC_FILE_PROMISE,
	  FBK_ROUTE_SYNC_FILE_PROMISE, wait_promise },
	{ "cpu-wait", FBK_FENCE_SYNC_FILE, 1U << FBK_ROUTE_CPU_WAIT, FBK_ROUTE_CPU_WAIT, NULL },
};

static int consumer_run(int socket, void *arg)
{
	static struct waiter waiter;
	const struct kind *kind = arg;
	struct fbk_device_desc desc = {
		.struct_size = sizeof(struct fbk_device_desc),
		.name = "consumer",
		.device_class = FBK_CLASS_ENCODER,
		.waits = kind->waits,
		.signals = FBK_FENCE_MEMORY64,
		/* the way back is native */
		.routes = kind->routes ? kind->routes | 1U << FBK_ROUTE_NATIVE : 0,
	};
	waiter.socket = socket;
	waiter.drm = drm_render_open("virtio_gpu");
	consumer_open(&waiter.consumer, &server, &desc, socket);
	expect_routes(waiter.consumer.link, kind->acquire, FBK_ROUTE_NATIVE);
	ck_assert_uint_eq(consume(waiter.consumer.link, kind->wait, &waiter), LINK_FRAMES);
	consumer_close(&waiter.consumer);
	close(waiter.drm);
	return 0;
}

START_TEST(each_route)
{
	const struct kind *kind = &kinds[_i];
	static const struct fbk_device_desc desc = {
		.struct_size = sizeof(struct fbk_device_desc),
		.name = "producer",
		.device_class = FBK_CLASS_GPU,
		.waits = FBK_FENCE_MEMORY64,
		.signals = FBK_FENCE_MEMORY64,
	};
	struct producer producer;
	struct peer peer;
	int offer;
	if (kind->acquire == FBK_ROUTE_SYNCOBJ_MIRROR && !has_syncobj_eventfd()) {
		printf("not run: syncobj-mirror, for which Linux 6.6 and a DRM device with "
		       "timeline syncobjs are needed\n");
		return;
	}
	peer_start(&peer, consumer_run, (void *)(uintptr_t)kind);
	producer_offer(&producer, &server, &desc, &offer);
	producer_fill(&producer, true);
	send_word(peer.socket, 0, offer);
	close(offer);
	uint64_t began = now_ms();
	producer_meet(&producer);
	for (int i = 0; i < LINK_FRAMES; i++) {
		uint32_t index = producer_hand(&producer);
		if (kind->wait) {
			receive_word(peer.socket, NULL);
		}
		producer_draw(&producer, index);
	}
	exchange_drain(producer.exchange, PRODUCER_BUFFERS);
	print_frames(kind->name, LINK_FRAMES, began);
	expect_routes(producer.link, kind->acquire, FBK_ROUTE_NATIVE);
	producer_close(&producer);
	ck_assert_int_eq(patient_wait(&peer), 0);
	ck_assert_uint_eq(lab_counter(&server, "promises_broken"), 0);
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	ADD_LOOP(tcase, each_route, kinds);
}

int main(void)
{
	return lab_main("link routes", "vgem", add);
}
