// SPDX-License-Identifier: MIT
/*
 * A window system whose other side is plain libdrm: it waits for and signals points of two
 * drm_syncobjs, as in linux-drm-syncobj-v1. In one test it shows what a device with memory fences
 * drew, in the other it draws what such a device shows.
 */
#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xf86drm.h>

#include "lib-link.h"

#define OVER UINT64_MAX /* sent instead of a frame */

static struct daemon server;
static _Atomic uint64_t
	*done; /* frames that the compositor is done with; in memory that is shared */

static void setup(void)
{
	daemon_serve(&server, lab_policy(60000));
	done = shared_memory(sizeof(*done));
}

static void teardown(void)
{
	munmap((void *)done, sizeof(*done));
	daemon_stop(&server);
}

/* ------------------------------------------------------------------------------- plain libdrm --- */

struct surface {
	int drm;
	uint32_t acquire, release;
	uint64_t *words[PRODUCER_BUFFERS];
};

static void surface_open(struct surface *surface, int socket, int protection)
{
	int fd;
	surface->drm = drm_render_open("virtio_gpu");
	receive_word(socket, &fd);
	EXPECT(drmSyncobjFDToHandle(surface->drm, fd, &surface->acquire) == 0);
	close(fd);
	receive_word(socket, &fd);
	EXPECT(drmSyncobjFDToHandle(surface->drm, fd, &surface->release) == 0);
	close(fd);
	for (size_t i = 0; i < PRODUCER_BUFFERS; i++) {
		receive_word(socket, &fd);
		surface->words[i] = mmap(NULL, BUFFER_SIZE, protection, MAP_SHARED, fd, 0);
		EXPECT(surface->words[i] != MAP_FAILED);
		close(fd);
	}
}

static bool point_signalled(const struct surface *surface, uint32_t handle, uint64_t point)
{
	uint64_t now;
	EXPECT(syncobj_query(surface->drm, handle, &now) == 0);
	return now >= point;
}

static void point_wait(const struct surface *surface, uint32_t handle, uint64_t point)
{
	int64_t until = (int64_t)(now_ms() + PATIENCE_MS) * 1000000;
	EXPECT(drmSyncobjTimelineWait(surface->drm, &handle, &point, 1, until,
				      DRM_SYNCOBJ_WAIT_FLAGS_WAIT_FOR_SUBMIT, NULL) == 0);
}

static void point_signal(const struct surface *surface, uint32_t handle, uint64_t point)
{
	EXPECT(drmSyncobjTimelineSignal(surface->drm, &handle, &point, 1) == 0);
}

/* -------------------------------------------------------------- a compositor of plain libdrm --- */

/* Frames that it shows or will show next: all buffers but the one being drawn. */
#define HELD (PRODUCER_BUFFERS - 1)

static void compositor_begin(const struct surface *surface, int socket, uint64_t index,
			     uint64_t number)
{
	uint64_t point = patient_word(socket);
	EXPECT(!point_signalled(surface, surface->acquire, point));
	send_word(socket, number, -1);
	point_wait(surface, surface->acquire, point);
	EXPECT(buffer_holds(surface->words[index], number));
}

static void compositor_finish(const struct surface *surface, uint64_t index, uint64_t number)
{
	yield_briefly(); /* showing takes time */
	EXPECT(buffer_holds(surface->words[index], number));
	/* release: before the producer may see the buffer free */
	atomic_store_explicit(done, number, memory_order_release);
	point_signal(surface, surface->release, number);
}

static int compositor_run(int socket, void *arg)
{
	static struct surface surface;
	static uint64_t indexes[LINK_FRAMES + 1];
	uint64_t number = 0;
	(void)arg;
	surface_open(&surface, socket, PROT_READ);
	while (number < LINK_FRAMES) {
		indexes[++number] = patient_word(socket);
		compositor_begin(&surface, socket, indexes[number], number);
		if (number > HELD) {
			compositor_finish(&surface, indexes[number - HELD], number - HELD);
		}
	}
	for (uint64_t n = number - HELD + 1; n <= number; n++) {
		compositor_finish(&surface, indexes[n], n);
	}
	ck_assert_uint_eq(patient_word(socket), OVER);
	return 0;
}

/* How a point of the compositor's becomes the release of a frame. */
enum back { BY_POINT, BY_MIRROR };

/* Between the link and the compositor: it passes on, and waits for nothing. */
struct swapchain {
	struct consumer consumer;
	int release;                   /* a syncobj */
	int drm;                       /* where it is ... */
	uint32_t handle;               /* ... this one */
	struct fbk_timeline *released; /* follows it */
	struct peer compositor;
	int producer; /* socket */
};

/* An eventfd for that point: the kernel's own, or of a timeline that follows. */
static int swapchain_fence(const struct swapchain *chain, enum back back, uint64_t number)
{
	int fence;
	if (back == BY_POINT) {
		fence = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		EXPECT(syncobj_eventfd(chain->drm, chain->handle, number, fence) == 0);
	} else {
		int r = fbk_point_export((struct fbk_point){ chain->released, number },
					 FBK_FENCE_EVENTFD, deadline_ms(PATIENCE_MS), &fence);
		ck_assert_msg(r == 0, "fbk_point_export: %s", fbk_error_detail());
	}
	EXPECT(readable_within(fence, 0) == 0);
	return fence;
}

static void swapchain_pass_on(struct swapchain *chain, enum back back, struct fbk_frame *frame,
			      uint64_t number)
{
	int socket = chain->compositor.socket;
	if (number == 1) {
		send_word(socket, 0, fbk_frame_acquire_fd(frame, deadline_ms(PATIENCE_MS)));
		send_word(socket, 0, chain->release);
		for (size_t i = 0; i < PRODUCER_BUFFERS; i++) {
			int fd;
			receive_word(chain->producer, &fd);
			send_word(socket, 0, fd);
			close(fd);
		}
	}
	send_word(socket, fbk_frame_index(frame), -1);
	send_word(socket, fbk_frame_acquire(frame).value, -1);
	ck_assert_uint_eq(patient_word(socket), number);
	int r = fbk_frame_release_on(frame, swapchain_fence(chain, back, number));
	ck_assert_msg(r == 0, "fbk_frame_release_on: %s", fbk_error_detail());
	fbk_frame_unref(frame);
	send_word(chain->producer, number, -1);
}

static int swapchain_run(int socket, void *arg)
{
	static const struct fbk_device_desc desc = {
		.struct_size = sizeof(struct fbk_device_desc),
		.name = "compositor",
		.device_class = FBK_CLASS_COMPOSITOR,
		.waits = FBK_FENCE_SYNCOBJ_TIMELINE,
		.signals = FBK_FENCE_SYNCOBJ_TIMELINE,
	};
	static struct swapchain chain;
	enum back back = *(const enum back *)arg;
	struct fbk_frame *frame;
	uint64_t number = 0;
	chain.producer = socket;
	peer_start(&chain.compositor, compositor_run, NULL);
	consumer_open(&chain.consumer, &server, &desc, socket);
	expect_routes(chain.consumer.link, FBK_ROUTE_SYNCOBJ_MIRROR, FBK_ROUTE_CPU_WAIT);
	EXPECT(fbk_syncobj_create(chain.consumer.context, &chain.release) == 0);
	chain.drm = drm_render_open("virtio_gpu");
	EXPECT(drmSyncobjFDToHandle(chain.drm, chain.release, &chain.handle) == 0);
	chain.released = peer_timeline(chain.consumer.device, "shown", FBK_TIMELINE_BROKERED);
	if (back == BY_MIRROR) {
		struct fbk_mirror *mirror;
		EXPECT(fbk_mirror_from_syncobj(chain.released, chain.release, &mirror) == 0);
	}
	while ((frame = consumer_next(&chain.consumer))) {
		swapchain_pass_on(&chain, back, frame, ++number);
	}
	send_word(chain.compositor.socket, OVER, -1);
	ck_assert_int_eq(patient_wait(&chain.compositor), 0);
	consumer_close(&chain.consumer);
	return 0;
}

START_TEST(compositor_of_libdrm)
{
	static const struct fbk_device_desc desc = {
		.struct_size = sizeof(struct fbk_device_desc),
		.name = "gpu",
		.device_class = FBK_CLASS_GPU,
		.waits = FBK_FENCE_MEMORY64,
		.signals = FBK_FENCE_MEMORY64,
	};
	enum back back = (enum back)_i;
	struct producer producer;
	struct peer chain;
	int offer;
	peer_start(&chain, swapchain_run, &back);
	producer_offer(&producer, &server, &desc, &offer);
	producer_fill(&producer, true);
	send_word(chain.socket, 0, offer);
	close(offer);
	for (size_t i = 0; i < PRODUCER_BUFFERS; i++) {
		send_word(chain.socket, 0, producer.buffers[i].fd);
	}
	producer_meet(&producer);
	uint64_t began = now_ms();
	producer_frames_on_demand(&producer, done, chain.socket);
	print_frames(back == BY_POINT ? "shown by libdrm, release by points"
				      : "shown by libdrm, release by a mirror",
		     LINK_FRAMES, began);
	producer_close(&producer);
	ck_assert_int_eq(patient_wait(&chain), 0);
}
END_TEST

/* ------------------------------------------------------------------- a client of plain libdrm --- */

/* A frame is passed on before it is drawn; a buffer is drawn to when its last release is
 * signalled. */
static int client_run(int socket, void *arg)
{
	static struct surface surface;
	(void)arg;
	surface_open(&surface, socket, PROT_READ | PROT_WRITE);
	for (uint64_t number = 1; number <= LINK_FRAMES; number++) {
		struct buffer buffer = { -1, surface.words[number % PRODUCER_BUFFERS] };
		if (number > PRODUCER_BUFFERS) {
			point_wait(&surface, surface.release, number - PRODUCER_BUFFERS);
		}
		EXPECT(!point_signalled(&surface, surface.release, number));
		send_word(socket, number, -1);
		receive_word(socket, NULL); /* handed over */
		buffer_write(&buffer, number);
		point_signal(&surface, surface.acquire, number);
	}
	point_wait(&surface, surface.release, LINK_FRAMES);
	return 0;
}

static int shower_run(int socket, void *arg)
{
	static const struct fbk_device_desc desc = {
		.struct_size = sizeof(struct fbk_device_desc),
		.name = "display-gpu",
		.device_class = FBK_CLASS_COMPOSITOR,
		.waits = FBK_FENCE_MEMORY64 | FBK_FENCE_EVENTFD,
		.signals = FBK_FENCE_MEMORY64,
	};
	static struct consumer consumer;
	(void)arg;
	consumer_open(&consumer, &server, &desc, socket);
	expect_routes(consumer.link, FBK_ROUTE_EVENTFD, FBK_ROUTE_SYNCOBJ_MIRROR);
	ck_assert_uint_eq(consume(consumer.link, wait_fd, NULL), LINK_FRAMES);
	consumer_close(&consumer);
	return 0;
}

/* Between the client and the link. */
struct window {
	struct producer producer;
	int syncobjs[2];               /* acquire, release: the client's */
	struct fbk_timeline *released; /* followed by the second */
	uint64_t back;
};

static void frame_released(void *arg, int result)
{
	struct window *window = arg;
	EXPECT(result == 0);
	EXPECT(fbk_timeline_signal(window->released, ++window->back) == 0);
}

static void window_open(struct window *window, int client, int *ret_offer)
{
	static const struct fbk_device_desc desc = {
		.struct_size = sizeof(struct fbk_device_desc),
		.name = "client",
		.device_class = FBK_CLASS_GPU,
		.waits = FBK_FENCE_SYNCOBJ_TIMELINE,
		.signals = FBK_FENCE_SYNCOBJ_TIMELINE,
	};
	struct producer *producer = &window->producer;
	struct fbk_mirror *mirror;
	producer_offer(producer, &server, &desc, ret_offer);
	producer_fill(producer, true);
	for (size_t i = 0; i < 2; i++) {
		EXPECT(fbk_syncobj_create(producer->context, &window->syncobjs[i]) == 0);
		send_word(client, 0, window->syncobjs[i]);
	}
	fbk_timeline_close(producer->timeline);
	producer->timeline = peer_timeline(producer->device, "drawn", FBK_TIMELINE_BROKERED);
	EXPECT(fbk_mirror_from_syncobj(producer->timeline, window->syncobjs[0], &mirror) == 0);
	window->released = peer_timeline(producer->device, "released", 0);
	EXPECT(fbk_mirror_to_syncobj(window->released, window->syncobjs[1], &mirror) == 0);
	for (size_t i = 0; i < PRODUCER_BUFFERS; i++) {
		send_word(client, 0, producer->buffers[i].fd);
	}
}

static void window_frame(struct window *window, int client)
{
	struct producer *producer = &window->producer;
	uint64_t number = receive_word(client, NULL);
	struct fbk_point acquire = { producer->timeline, number };
	ck_assert_uint_eq(number, ++producer->frame);
	EXPECT(fbk_point_check(acquire) == -EAGAIN);
	int r = fbk_exchange_hand(producer->exchange, (uint32_t)(number % PRODUCER_BUFFERS),
				  acquire, deadline_ms(PATIENCE_MS), NULL, frame_released, window);
	ck_assert_msg(r > 0, "handing over: %s", fbk_error_detail());
	send_word(client, number, -1);
}

START_TEST(client_of_libdrm)
{
	static struct window window;
	struct peer client, shower;
	int offer;
	peer_start(&client, client_run, NULL);
	peer_start(&shower, shower_run, NULL);
	window_open(&window, client.socket, &offer);
	send_word(shower.socket, 0, offer);
	close(offer);
	producer_meet(&window.producer);
	uint64_t began = now_ms();
	while (window.back < LINK_FRAMES) {
		struct pollfd entries[] = {
			{ .fd = window.producer.frame < LINK_FRAMES ? client.socket : -1,
			  .events = POLLIN },
			{ .fd = fbk_context_fd(window.producer.context), .events = POLLIN },
		};
		EXPECT(poll(entries, 2, PATIENCE_MS) > 0);
		if (entries[0].revents) {
			window_frame(&window, client.socket);
		}
		EXPECT(fbk_dispatch(window.producer.context) >= 0);
	}
	print_frames("drawn by libdrm", LINK_FRAMES, began);
	ck_assert_int_eq(patient_wait(&client), 0);
	producer_close(&window.producer);
	ck_assert_int_eq(patient_wait(&shower), 0);
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, compositor_of_libdrm, BY_POINT, BY_MIRROR + 1);
	tcase_add_test(tcase, client_of_libdrm);
}

int main(void)
{
	if (in_guest() && !has_syncobj_eventfd()) {
		return skip("points of syncobjs are not followed here: Linux 6.6 and a DRM device "
			    "with timeline syncobjs are needed");
	}
	return lab_main("link window", "vgem", add);
}
