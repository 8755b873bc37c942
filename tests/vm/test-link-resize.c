// SPDX-License-Identifier: MIT
/*
 * A window that is resized: its buffers' sizes and formats change while frames go on. The consumer waits by
 * plain libdrm, and maps what comes anew.
 */
#include <drm_fourcc.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xf86drm.h>

#include "lib-link.h"

#define FRAMES_OF_ONE_SIZE 20

static struct daemon server;

static void setup(void)
{
	daemon_serve(&server, lab_policy(60000));
}

static void teardown(void)
{
	daemon_stop(&server);
}

/* In pages; a buffer's format changes with it. */
static uint32_t size_of(uint64_t number)
{
	return 1 + (uint32_t)(number / FRAMES_OF_ONE_SIZE % 4);
}

static uint32_t fourcc_of(uint32_t pages)
{
	return pages % 2 ? DRM_FORMAT_XRGB8888 : DRM_FORMAT_ARGB8888;
}

static bool pages_hold(const uint64_t *words, uint32_t pages, uint64_t number)
{
	for (uint32_t i = 0; i < pages; i++) {
		if (!buffer_holds(words + i * (BUFFER_SIZE / sizeof(*words)), number)) {
			return false;
		}
	}
	return true;
}

/* What plain libdrm sees of one frame, whose buffer may be another than the index had before. */
static void viewer_look(int drm, uint32_t syncobj, struct fbk_frame *frame, uint64_t number)
{
	const struct fbk_buffer_desc *buffer = fbk_frame_buffer(frame);
	uint32_t pages = size_of(number);
	ck_assert_uint_eq(buffer->height, 32 * pages);
	ck_assert_uint_eq(buffer->fourcc, fourcc_of(pages));
	uint64_t point = fbk_frame_acquire(frame).value;
	int64_t until = (int64_t)(now_ms() + PATIENCE_MS) * 1000000;
	EXPECT(drmSyncobjTimelineWait(drm, &syncobj, &point, 1, until,
				      DRM_SYNCOBJ_WAIT_FLAGS_WAIT_FOR_SUBMIT, NULL) == 0);
	EXPECT(fbk_frame_error(frame) == 0);
	uint64_t *words = mmap(NULL, pages * BUFFER_SIZE, PROT_READ, MAP_SHARED, buffer->fd[0], 0);
	EXPECT(words != MAP_FAILED);
	EXPECT(pages_hold(words, pages, number));
	munmap(words, pages * BUFFER_SIZE);
}

static int viewer_run(int socket, void *arg)
{
	static const struct fbk_device_desc desc = {
		.struct_size = sizeof(struct fbk_device_desc),
		.name = "compositor",
		.device_class = FBK_CLASS_COMPOSITOR,
		.waits = FBK_FENCE_SYNCOBJ_TIMELINE,
		.signals = FBK_FENCE_SYNCOBJ_TIMELINE,
	};
	static struct consumer consumer;
	int drm = drm_render_open("virtio_gpu");
	uint32_t syncobj = 0;
	struct fbk_frame *frame;
	uint64_t number = 0;
	(void)arg;
	consumer_open(&consumer, &server, &desc, socket);
	expect_routes(consumer.link, FBK_ROUTE_SYNCOBJ_MIRROR, FBK_ROUTE_CPU_WAIT);
	while ((frame = consumer_next(&consumer))) {
		int fd = fbk_frame_acquire_fd(frame, deadline_ms(PATIENCE_MS));
		EXPECT(syncobj || drmSyncobjFDToHandle(drm, fd, &syncobj) == 0);
		viewer_look(drm, syncobj, frame, ++number);
		EXPECT(frame_release(frame, 0) == 0);
	}
	ck_assert_uint_eq(number, LINK_FRAMES);
	close(drm);
	consumer_close(&consumer);
	return 0;
}

struct sized {
	uint32_t pages; /* 0: there is none yet */
	uint64_t *words;
};

static void sized_replace(struct fbk_exchange *exchange, int card, uint32_t index,
			  struct sized *sized, uint32_t pages)
{
	struct drm_mode_create_dumb dumb = { .width = 32, .height = 32 * pages, .bpp = 32 };
	struct fbk_buffer_desc desc = { .struct_size = sizeof(desc),
					.memory = FBK_MEMORY_DMABUF,
					.width = 32,
					.height = 32 * pages,
					.fourcc = fourcc_of(pages),
					.plane_count = 1,
					.stride = { 128 } };
	if (sized->pages > 0) {
		munmap(sized->words, sized->pages * BUFFER_SIZE);
		EXPECT(fbk_exchange_remove(exchange, index) == 0);
	}
	EXPECT(drmIoctl(card, DRM_IOCTL_MODE_CREATE_DUMB, &dumb) == 0);
	EXPECT(drmPrimeHandleToFD(card, dumb.handle, DRM_CLOEXEC | DRM_RDWR, &desc.fd[0]) == 0);
	drm_buffer_close(card, dumb.handle);
	sized->pages = pages;
	sized->words =
		mmap(NULL, pages * BUFFER_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, desc.fd[0], 0);
	EXPECT(sized->words != MAP_FAILED);
	int r = fbk_exchange_add(exchange, index, &desc);
	ck_assert_msg(r == 0, "adding a buffer: %s", fbk_error_detail());
}

/* Replaces each free buffer that has the old size, then hands it over, then draws it. */
static void sized_frame(struct producer *producer, int card, struct sized *sizes)
{
	struct fbk_point drawn = { producer->timeline, ++producer->frame };
	uint32_t index, pages = size_of(drawn.value);
	EXPECT(fbk_exchange_take(producer->exchange, deadline_ms(PATIENCE_MS), &index, NULL) == 0);
	while (sizes[index].pages != pages) {
		sized_replace(producer->exchange, card, index, &sizes[index], pages);
		EXPECT(fbk_exchange_take(producer->exchange, deadline_ms(PATIENCE_MS), &index,
					 NULL) == 0);
	}
	int r = fbk_exchange_hand(producer->exchange, index, drawn, deadline_ms(PATIENCE_MS), NULL,
				  NULL, NULL);
	ck_assert_msg(r == 1, "handing over: %s", fbk_error_detail());
	for (uint32_t i = 0; i < pages; i++) {
		buffer_write(&(struct buffer){ -1, sizes[index].words +
							   i * (BUFFER_SIZE / sizeof(uint64_t)) },
			     drawn.value);
	}
	EXPECT(fbk_point_signal(drawn) == 0);
}

/* No frame is lost, or shown in a buffer of another size. */
START_TEST(window_resized)
{
	static const struct fbk_device_desc desc = {
		.struct_size = sizeof(struct fbk_device_desc),
		.name = "gpu",
		.device_class = FBK_CLASS_GPU,
		.waits = FBK_FENCE_MEMORY64,
		.signals = FBK_FENCE_MEMORY64,
	};
	struct sized sizes[PRODUCER_BUFFERS] = { { 0, NULL } };
	struct producer producer;
	struct peer viewer;
	int offer;
	int card = drm_card_must_open("vgem");
	peer_start(&viewer, viewer_run, NULL);
	producer_offer(&producer, &server, &desc, &offer);
	for (uint32_t i = 0; i < PRODUCER_BUFFERS; i++) {
		producer.buffers[i].fd = -1; /* there is none */
		sized_replace(producer.exchange, card, i, &sizes[i], size_of(1));
	}
	send_word(viewer.socket, 0, offer);
	close(offer);
	producer_meet(&producer);
	uint64_t began = now_ms();
	for (int i = 0; i < LINK_FRAMES; i++) {
		sized_frame(&producer, card, sizes);
	}
	exchange_drain(producer.exchange, PRODUCER_BUFFERS);
	print_frames("shown by libdrm, of changing sizes and formats", LINK_FRAMES, began);
	producer_close(&producer);
	ck_assert_int_eq(patient_wait(&viewer), 0);
	close(card);
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, window_resized);
}

int main(void)
{
	if (in_guest() && !has_syncobj_eventfd()) {
		return skip("points of syncobjs are not followed here: Linux 6.6 and a DRM device "
			    "with timeline syncobjs are needed");
	}
	return lab_main("link resize", "vgem", add);
}
