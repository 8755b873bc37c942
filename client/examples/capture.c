// SPDX-License-Identifier: MIT
/*
 * A capture card and one consumer: a dequeued buffer is ready (-> acquire), and is queued again when all consumers
 * released it (<- release). Works for any V4L2 device that exports its buffers. The consumer is a program that gets
 * the offer as an open fd, whose number is its last argument: example-encoder, for example.
 */
#include <drm_fourcc.h>
#include <errno.h>
#include <fcntl.h>
#include <fencebroker.h>
#include <linux/videodev2.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BUFFERS     4
#define PATIENCE_NS UINT64_C(2000000000)

static int card;

static uint64_t deadline(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec + PATIENCE_NS;
}

/* ------------------------------------------------------------------------------------- the card --- */

static struct v4l2_buffer buffers[BUFFERS];

/* A signal may interrupt what a driver does. */
static int card_do(unsigned long request, void *argument)
{
	int r;
	do {
		r = ioctl(card, request, argument);
	} while (r < 0 && errno == EINTR);
	return r;
}

static int card_queue(uint32_t index)
{
	struct v4l2_buffer buffer = { .index = index,
				      .type = V4L2_BUF_TYPE_VIDEO_CAPTURE,
				      .memory = V4L2_MEMORY_MMAP };
	return card_do(VIDIOC_QBUF, &buffer) < 0 ? -errno : 0;
}

/* V4L2 and DRM name the same pixels by different numbers; 0, plain bytes, for what DRM has no name for. */
static uint32_t drm_fourcc(uint32_t pixelformat)
{
	static const struct {
		uint32_t v4l2, drm;
	} names[] = {
		{ V4L2_PIX_FMT_YUYV, DRM_FORMAT_YUYV },
		{ V4L2_PIX_FMT_UYVY, DRM_FORMAT_UYVY },
		{ V4L2_PIX_FMT_YVYU, DRM_FORMAT_YVYU },
		{ V4L2_PIX_FMT_VYUY, DRM_FORMAT_VYUY },
		{ V4L2_PIX_FMT_NV12, DRM_FORMAT_NV12 },
		{ V4L2_PIX_FMT_NV21, DRM_FORMAT_NV21 },
		{ V4L2_PIX_FMT_NV16, DRM_FORMAT_NV16 },
		{ V4L2_PIX_FMT_YUV420, DRM_FORMAT_YUV420 },
		{ V4L2_PIX_FMT_YVU420, DRM_FORMAT_YVU420 },
		{ V4L2_PIX_FMT_RGB565, DRM_FORMAT_RGB565 },
		{ V4L2_PIX_FMT_RGB24, DRM_FORMAT_BGR888 },
		{ V4L2_PIX_FMT_BGR24, DRM_FORMAT_RGB888 },
		{ V4L2_PIX_FMT_XBGR32, DRM_FORMAT_XRGB8888 },
		{ V4L2_PIX_FMT_ABGR32, DRM_FORMAT_ARGB8888 },
		{ V4L2_PIX_FMT_RGBX32, DRM_FORMAT_XBGR8888 },
		{ V4L2_PIX_FMT_RGBA32, DRM_FORMAT_ABGR8888 },
		{ V4L2_PIX_FMT_GREY, DRM_FORMAT_R8 },
	};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (names[i].v4l2 == pixelformat) {
			return names[i].drm;
		}
	}
	return 0;
}

/* The planes of a format lie one behind the other in the one buffer of this API. */
static void card_planes(const struct v4l2_pix_format *pix, struct fbk_buffer_desc *buffer)
{
	uint32_t fourcc = drm_fourcc(pix->pixelformat);
	uint64_t luma = (uint64_t)pix->bytesperline * pix->height;
	bool three = fourcc == DRM_FORMAT_YUV420 || fourcc == DRM_FORMAT_YVU420;
	bool two =
		fourcc == DRM_FORMAT_NV12 || fourcc == DRM_FORMAT_NV21 || fourcc == DRM_FORMAT_NV16;
	uint32_t chroma = three ? pix->bytesperline / 2 : pix->bytesperline;
	buffer->plane_count = three ? 3 : two ? 2 : 1;
	buffer->stride[0] = pix->bytesperline;
	buffer->stride[1] = buffer->stride[2] = chroma;
	buffer->offset[1] = luma;
	buffer->offset[2] = luma + (uint64_t)chroma * pix->height / 2;
}

static int card_open(const char *path, struct v4l2_format *ret_format)
{
	struct v4l2_requestbuffers request = { .count = BUFFERS,
					       .type = V4L2_BUF_TYPE_VIDEO_CAPTURE,
					       .memory = V4L2_MEMORY_MMAP };
	ret_format->type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
	card = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (card < 0 || card_do(VIDIOC_G_FMT, ret_format) < 0 ||
	    card_do(VIDIOC_REQBUFS, &request) < 0) {
		return -errno;
	}
	return request.count < BUFFERS ? -ENOMEM : 0;
}

static int card_export(struct fbk_exchange *exchange, const struct v4l2_format *format)
{
	for (uint32_t i = 0; i < BUFFERS; i++) {
		struct v4l2_exportbuffer export = { .type = V4L2_BUF_TYPE_VIDEO_CAPTURE,
						    .index = i,
						    .flags = O_RDWR | O_CLOEXEC };
		if (card_do(VIDIOC_EXPBUF, &export) < 0) {
			return -errno;
		}
		struct fbk_buffer_desc desc = {
			.struct_size = sizeof(desc),
			.memory = FBK_MEMORY_DMABUF,
			.fd = { export.fd, -1, -1, -1 },
			.width = format->fmt.pix.width,
			.height = format->fmt.pix.height,
			.fourcc = drm_fourcc(format->fmt.pix.pixelformat),
			.modifier = DRM_FORMAT_MOD_LINEAR,
		};
		card_planes(&format->fmt.pix, &desc);
		int r = fbk_exchange_add(exchange, i, &desc);
		if (r < 0) {
			return r;
		}
	}
	return 0;
}

static int card_start(void)
{
	int type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
	for (uint32_t i = 0; i < BUFFERS; i++) {
		int r = card_queue(i);
		if (r < 0) {
			return r;
		}
	}
	return card_do(VIDIOC_STREAMON, &type) < 0 ? -errno : 0;
}

/* ------------------------------------------------------------------------ what the broker is for --- */

static unsigned int out; /* frames that are not back */

static void on_released(void *arg, int result)
{
	struct v4l2_buffer *buf = arg;
	out--;
	if (result < 0) {
		fprintf(stderr, "buffer %u came back in error: %s\n", buf->index,
			strerror(-result));
	}
	card_queue(buf->index);
}

static int run(struct fbk_context *ctx, struct fbk_exchange *exchange, unsigned long frames)
{
	struct pollfd entries[] = {
		{ .fd = card, .events = POLLIN },
		{ .fd = fbk_context_fd(ctx), .events = POLLIN },
	};
	int r = 0;
	while (r >= 0 && frames > 0 && poll(entries, 2, -1) >= 0) {
		struct v4l2_buffer dequeued = { .type = V4L2_BUF_TYPE_VIDEO_CAPTURE,
						.memory = V4L2_MEMORY_MMAP };
		if (entries[0].revents && card_do(VIDIOC_DQBUF, &dequeued) == 0) {
			struct v4l2_buffer *buf = &buffers[dequeued.index];
			*buf = dequeued;
			r = fbk_exchange_hand(exchange, buf->index, FBK_POINT_SIGNALLED, deadline(),
					      NULL, on_released, buf);
			out += r >= 0;
			frames--;
		}
		if (r >= 0 && entries[1].revents) {
			r = fbk_dispatch(ctx); /* runs on_released */
		}
	}
	return r;
}

/* Until the last frame is back: a link that ends takes what nobody has read with it. */
static int finish(struct fbk_context *ctx, struct fbk_link *link)
{
	struct pollfd entry = { .fd = fbk_context_fd(ctx), .events = POLLIN };
	int r = fbk_link_stop(link);
	while (r >= 0 && out > 0 && poll(&entry, 1, -1) >= 0) {
		r = fbk_dispatch(ctx);
	}
	return r;
}

/* ------------------------------------------------------------------------------------------------ */

static int consumer_start(char **argv, int offer_fd)
{
	char number[16];
	char *arguments[] = { argv[0], number, NULL };
	snprintf(number, sizeof(number), "%d", offer_fd);
	fcntl(offer_fd, F_SETFD, 0); /* the consumer inherits this fd */
	pid_t pid = fork();
	if (pid == 0) {
		execvp(argv[0], arguments);
		perror(argv[0]);
		_exit(127);
	}
	return pid < 0 ? -errno : 0;
}

static int meet(const char *path, char **consumer, unsigned long frames)
{
	struct fbk_device_desc desc = { .struct_size = sizeof(struct fbk_device_desc),
					.name = "capture0",
					.device_class = FBK_CLASS_CAPTURE };
	struct v4l2_format format = { 0 };
	struct fbk_exchange *exchange;
	struct fbk_device *device;
	struct fbk_context *ctx;
	struct fbk_link *link;
	int offer_fd;
	int r = card_open(path, &format);
	if (r < 0) {
		fprintf(stderr, "%s: %s\n", path, strerror(-r));
		return r;
	}
	const struct fbk_format picture = {
		.struct_size = sizeof(picture),
		.memory = FBK_MEMORY_DMABUF,
		.fourcc = drm_fourcc(format.fmt.pix.pixelformat),
		.modifier = DRM_FORMAT_MOD_LINEAR,
		.width_min = format.fmt.pix.width,
		.width_max = format.fmt.pix.width,
		.height_min = format.fmt.pix.height,
		.height_max = format.fmt.pix.height,
	};
	const struct fbk_link_desc wanted = {
		.struct_size = sizeof(wanted),
		.role = FBK_ROLE_PRODUCER,
		.formats = (const struct fbk_format *[]){ &picture },
		.format_count = 1,
	};
	if ((r = fbk_connect(NULL, &ctx)) < 0 ||
	    (r = fbk_device_register(ctx, &desc, &device)) < 0 ||
	    (r = fbk_link_offer(device, &wanted, &offer_fd, &link)) < 0 ||
	    (r = fbk_exchange_create(link, &exchange)) < 0 ||
	    (r = card_export(exchange, &format)) < 0 ||
	    (r = consumer_start(consumer, offer_fd)) < 0 ||
	    (r = fbk_link_wait(link, deadline())) < 0 || (r = card_start()) < 0 ||
	    (r = run(ctx, exchange, frames)) < 0 || (r = finish(ctx, link)) < 0) {
		fprintf(stderr, "%s: %s\n", path,
			fbk_error_detail()[0] ? fbk_error_detail() : strerror(-r));
		return r;
	}
	fbk_disconnect(ctx);
	return wait(NULL) < 0 ? -errno : 0;
}

int main(int argc, char **argv)
{
	if (argc != 4 || strcmp(argv[1], "--help") == 0) {
		printf("Usage: %s /dev/videoN FRAMES CONSUMER\n"
		       "Hands FRAMES captured frames to CONSUMER, which is started with the fd of "
		       "an offer.\n",
		       argv[0]);
		return argc == 2 ? EXIT_SUCCESS : 2;
	}
	return meet(argv[1], argv + 3, strtoul(argv[2], NULL, 10)) < 0 ? EXIT_FAILURE
								       : EXIT_SUCCESS;
}
