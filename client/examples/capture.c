// SPDX-License-Identifier: MIT
/*
 * A capture card: a dequeued buffer is ready, and it is queued again only when everybody is done
 * with it. Works for any V4L2 device that takes dma-bufs; the buffers are the application's.
 */
#include <errno.h>
#include <fcntl.h>
#include <fencebroker.h>
#include <linux/videodev2.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#define BUFFERS     4
#define PATIENCE_NS UINT64_C(2000000000)

static int card;
static struct v4l2_buffer buffers[BUFFERS];

static uint64_t deadline(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec + PATIENCE_NS;
}

static void on_released(void *arg, int result)
{
	struct v4l2_buffer *buf = arg;
	if (result < 0) {
		fprintf(stderr, "buffer %u came back in error: %s\n", buf->index,
			strerror(-result));
	}
	if (ioctl(card, VIDIOC_QBUF, buf) < 0) {
		perror("VIDIOC_QBUF");
	}
}

static int run(struct fbk_context *ctx, struct fbk_exchange *exchange)
{
	struct pollfd entries[] = {
		{ .fd = card, .events = POLLIN },
		{ .fd = fbk_context_fd(ctx), .events = POLLIN },
	};
	int r = 0;
	while (r >= 0 && poll(entries, 2, -1) >= 0) {
		struct v4l2_buffer dequeued = { .type = V4L2_BUF_TYPE_VIDEO_CAPTURE,
						.memory = V4L2_MEMORY_DMABUF };
		if (entries[0].revents && ioctl(card, VIDIOC_DQBUF, &dequeued) == 0) {
			struct v4l2_buffer *buf = &buffers[dequeued.index];
			*buf = dequeued;
			r = fbk_exchange_hand(exchange, buf->index, FBK_POINT_SIGNALLED, deadline(),
					      on_released, buf);
		}
		if (r >= 0 && entries[1].revents) {
			r = fbk_dispatch(ctx); /* runs on_released */
		}
	}
	return r;
}

int main(int argc, char **argv)
{
	struct fbk_device_desc desc = { .name = "capture0", .class = FBK_CAPTURE };
	struct fbk_exchange *exchange;
	struct fbk_device *device;
	struct fbk_context *ctx;
	struct fbk_link *link;
	int offer_fd;
	if (argc != 2 || strcmp(argv[1], "--help") == 0) {
		printf("Usage: %s /dev/videoN\nHands captured frames to a link.\n", argv[0]);
		return argc == 2 ? EXIT_SUCCESS : 2;
	}
	card = open(argv[1], O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (card < 0) {
		perror(argv[1]);
		return EXIT_FAILURE;
	}
	int r = fbk_connect(NULL, &ctx);
	if (r == 0) {
		r = fbk_device_register(ctx, &desc, &device);
	}
	if (r == 0) {
		r = fbk_link_offer(device, FBK_PRODUCER, &offer_fd, &link); /* pass it to the consumer */
	}
	if (r == 0) {
		r = fbk_exchange_create(link, &exchange);
	}
	if (r == 0) {
		r = run(ctx, exchange);
	}
	close(card);
	if (r < 0) {
		fprintf(stderr, "%s: %s\n", argv[0], fbk_error_detail());
		return EXIT_FAILURE;
	}
	return EXIT_SUCCESS;
}
