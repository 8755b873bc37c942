// SPDX-License-Identifier: MIT
/*
 * A capture card's buffers, read where the card put them: a dequeued buffer is ready, and goes back
 * to the card when the reading device has released it, not before. The reader writes a mark over
 * what it holds, and so sees whether the card wrote there meanwhile.
 */
#include <fcntl.h>
#include <linux/videodev2.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>
#include <xf86drm.h>

#include "lib-link.h"
#include "lib-vivid.h"

#define BUFFERS 4
#define HELD    2 /* by the reader, at any time */
#define MARK    0xa5

static struct daemon server;
static _Atomic uint64_t *done; /* frames that the reader is done with; in memory that is shared */

static void setup(void)
{
	daemon_serve(&server, lab_policy(60000));
	done = shared_memory(sizeof(*done));
}

static void teardown(void)
{
	munmap(done, sizeof(*done));
	daemon_stop(&server);
}

/* ---------------------------------------------------------------------------------- the reader -- */

struct reader {
	struct consumer consumer;
	struct fbk_point read[LINK_FRAMES + 1]; /* where each frame is released */
	uint8_t *pictures[BUFFERS];
	bool marked[BUFFERS];
	uint32_t held[LINK_FRAMES + 1]; /* which buffer a frame is in */
};

static uint8_t *reader_map(struct reader *reader, const struct fbk_frame *frame)
{
	uint8_t **picture = &reader->pictures[fbk_frame_index(frame)];
	if (!*picture) {
		*picture = mmap(NULL, VIVID_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
				frame_fd(frame), 0);
		EXPECT(*picture != MAP_FAILED);
	}
	return *picture;
}

static bool all_marked(const uint8_t *bytes, size_t size)
{
	return bytes[0] == MARK && memcmp(bytes, bytes + 1, size - 1) == 0;
}

/* Its first and last line: the card wrote all of it since it was marked. */
static bool is_picture(const uint8_t *picture)
{
	const size_t line = 2 * VIVID_WIDTH;
	return !all_marked(picture, line) && !all_marked(picture + VIVID_SIZE - line, line);
}

static void reader_begin(struct reader *reader, struct fbk_frame *frame, uint64_t number)
{
	uint32_t index = fbk_frame_index(frame);
	uint8_t *picture = reader_map(reader, frame);
	EXPECT(fbk_point_check(fbk_frame_acquire(frame)) == 0); /* a dequeued buffer is ready */
	EXPECT(is_picture(picture));
	memset(picture, MARK, VIVID_SIZE);
	reader->held[number] = index;
	EXPECT(frame_release_later(frame, &reader->read[number]) == 0);
}

static void reader_finish(struct reader *reader, uint64_t number)
{
	EXPECT(all_marked(reader->pictures[reader->held[number]], VIVID_SIZE));
	/* release: before the card may have it */
	atomic_store_explicit(done, number, memory_order_release);
	EXPECT(fbk_point_signal(reader->read[number]) == 0);
}

static int reader_run(int socket, void *arg)
{
	static const struct fbk_device_desc desc = {
		.struct_size = sizeof(struct fbk_device_desc),
		.name = "gpu",
		.device_class = FBK_CLASS_GPU,
		.waits = FBK_FENCE_MEMORY64,
		.signals = FBK_FENCE_MEMORY64,
	};
	static struct reader reader;
	struct fbk_frame *frame;
	uint64_t number = 0;
	(void)arg;
	consumer_open(&reader.consumer, &server, &desc, socket);
	expect_routes(reader.consumer.link, FBK_ROUTE_NATIVE, FBK_ROUTE_GATE);
	while ((frame = consumer_next(&reader.consumer))) {
		reader_begin(&reader, frame, ++number);
		if (number > HELD) {
			reader_finish(&reader, number - HELD);
		}
		for (uint64_t n = number - HELD + 1; number == LINK_FRAMES && n <= number; n++) {
			reader_finish(&reader, n);
		}
	}
	ck_assert_uint_eq(number, LINK_FRAMES);
	consumer_close(&reader.consumer);
	return 0;
}

/* ------------------------------------------------------------------------------------ the card -- */

struct card {
	int fd;
	struct fbk_context *context;
	struct fbk_exchange *exchange;
	struct fbk_link *link;
	struct card_buffer {
		struct card *card;
		uint32_t index;
		int dmabuf;
		uint64_t frame; /* held by the reader; 0: the card has it */
	} buffers[BUFFERS];
	uint64_t frame;          /* the last one */
	uint64_t back;           /* how many came back */
	uint32_t sequence, lost; /* the card's own number; frames that it skipped */
};

/* A buffer of vgem, large enough for a picture. */
static int picture_create(int vgem)
{
	struct drm_mode_create_dumb dumb = { .width = VIVID_WIDTH,
					     .height = VIVID_HEIGHT,
					     .bpp = 16 };
	int dmabuf;
	EXPECT(drmIoctl(vgem, DRM_IOCTL_MODE_CREATE_DUMB, &dumb) == 0);
	EXPECT(dumb.size >= VIVID_SIZE);
	EXPECT(drmPrimeHandleToFD(vgem, dumb.handle, DRM_CLOEXEC | DRM_RDWR, &dmabuf) == 0);
	drm_buffer_close(vgem, dumb.handle);
	return dmabuf;
}

static void card_queue(struct card_buffer *buffer)
{
	struct v4l2_buffer queued = {
		.index = buffer->index,
		.type = V4L2_BUF_TYPE_VIDEO_CAPTURE,
		.memory = V4L2_MEMORY_DMABUF,
		.m.fd = buffer->dmabuf,
	};
	buffer->frame = 0;
	ck_assert_int_eq(ioctl(buffer->card->fd, VIDIOC_QBUF, &queued), 0);
}

static void card_requeue(void *arg, int result)
{
	struct card_buffer *buffer = arg;
	EXPECT(result == 0);
	/* acquire: pairs with the reader's release */
	EXPECT(buffer->frame <= atomic_load_explicit(done, memory_order_acquire));
	buffer->card->back++;
	card_queue(buffer);
}

/* A dequeued buffer is ready. */
static void card_frame(struct card *card)
{
	struct v4l2_buffer dequeued = {
		.type = V4L2_BUF_TYPE_VIDEO_CAPTURE,
		.memory = V4L2_MEMORY_DMABUF,
	};
	ck_assert_int_eq(ioctl(card->fd, VIDIOC_DQBUF, &dequeued), 0);
	EXPECT(!(dequeued.flags & V4L2_BUF_FLAG_ERROR));
	struct card_buffer *buffer = &card->buffers[dequeued.index];
	EXPECT(buffer->frame == 0);
	buffer->frame = ++card->frame;
	/* The card counts by the clock: after a late picture, two may have the same number. */
	ck_assert_msg(card->frame == 1 || dequeued.sequence >= card->sequence,
		      "frame %llu is picture %u, after %u", (unsigned long long)card->frame,
		      dequeued.sequence, card->sequence);
	card->lost += card->frame > 1 && dequeued.sequence > card->sequence
			      ? dequeued.sequence - card->sequence - 1
			      : 0;
	card->sequence = dequeued.sequence;
	int r = fbk_exchange_hand(card->exchange, buffer->index, FBK_POINT_SIGNALLED,
				  deadline_ms(PATIENCE_MS), NULL, card_requeue, buffer);
	ck_assert_msg(r > 0, "handing over: %s", fbk_error_detail());
}

static void card_open(struct card *card, int *ret_offer)
{
	static const struct fbk_device_desc desc = { .struct_size = sizeof(struct fbk_device_desc),
						     .name = "card",
						     .device_class = FBK_CLASS_CAPTURE };
	int vgem = drm_card_must_open("vgem");
	card->context = peer_connect(&server);
	EXPECT(link_offer(link_device(card->context, &desc), FBK_ROLE_PRODUCER, ret_offer,
			  &card->link) == 0);
	EXPECT(fbk_exchange_create(card->link, &card->exchange) == 0);
	card->fd = vivid_open();
	vivid_set_up(card->fd, V4L2_MEMORY_DMABUF, BUFFERS);
	for (uint32_t i = 0; i < BUFFERS; i++) {
		struct card_buffer *buffer = &card->buffers[i];
		*buffer = (struct card_buffer){ card, i, picture_create(vgem), 0 };
		const struct fbk_buffer_desc picture = {
			.struct_size = sizeof(struct fbk_buffer_desc),
			.memory = FBK_MEMORY_DMABUF,
			.fd = { fcntl(buffer->dmabuf, F_DUPFD_CLOEXEC, 0), -1, -1, -1 },
			.width = VIVID_WIDTH,
			.height = VIVID_HEIGHT,
			.fourcc = 0x56595559, /* YUYV */
			.plane_count = 1,
			.stride = { 2 * VIVID_WIDTH },
		};
		EXPECT(fbk_exchange_add(card->exchange, i, &picture) == 0);
		card_queue(buffer);
	}
	close(vgem);
}

static void card_close(struct card *card)
{
	close(card->fd);
	fbk_exchange_destroy(card->exchange);
	fbk_link_close(card->link);
	fbk_disconnect(card->context);
	for (size_t i = 0; i < BUFFERS; i++) {
		close(card->buffers[i].dmabuf);
	}
}

START_TEST(capture_to_gpu)
{
	static struct card card;
	struct peer reader;
	int offer;
	peer_start(&reader, reader_run, NULL);
	card_open(&card, &offer);
	send_word(reader.socket, 0, offer);
	close(offer);
	EXPECT(fbk_link_wait(card.link, deadline_ms(PATIENCE_MS)) == 0);
	expect_routes(card.link, FBK_ROUTE_NATIVE, FBK_ROUTE_GATE);
	uint64_t began = now_ms();
	vivid_start(card.fd);
	while (card.back < LINK_FRAMES) {
		struct pollfd entries[] = {
			{ .fd = card.frame < LINK_FRAMES ? card.fd : -1, .events = POLLIN },
			{ .fd = fbk_context_fd(card.context), .events = POLLIN },
		};
		EXPECT(poll(entries, 2, PATIENCE_MS) > 0);
		EXPECT(fbk_dispatch(card.context) >= 0);
		if (entries[0].revents & POLLIN) {
			card_frame(&card);
		}
	}
	print_frames("captured", LINK_FRAMES, began);
	printf("%u pictures of the card did not come, for want of a buffer or of time\n",
	       card.lost);
	card_close(&card);
	ck_assert_int_eq(patient_wait(&reader), 0);
}
END_TEST

static void add(TCase *tcase)
{
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, capture_to_gpu);
}

int main(void)
{
	int fd = in_guest() ? vivid_open() : -1;
	if (in_guest() && fd < 0) {
		return skip("there is no capture device of vivid");
	}
	if (fd >= 0) {
		close(fd);
	}
	return lab_main("link capture", "vgem", add);
}
