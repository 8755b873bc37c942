// SPDX-License-Identifier: MIT
/*
 * An encoder without memory fences: it waits on kernel fences only. Frames come over a link; its offer
 * arrives as an fd over the application's own socket (here: inherited, named by its number).
 */
#include <drm_fourcc.h>
#include <errno.h>
#include <fencebroker.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PATIENCE_NS UINT64_C(2000000000)

static uint64_t deadline(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec + PATIENCE_NS;
}

/* Stands for the device: encodes once the acquire fence signals. */
static int encode(int dmabuf_fd, int acquire_fd)
{
	struct pollfd entry = { .fd = acquire_fd, .events = POLLIN };
	if (dmabuf_fd < 0 || acquire_fd < 0) {
		return -EBADF;
	}
	return poll(&entry, 1, 2000) == 1 ? 0 : -ETIMEDOUT;
}

/* What it can read, the best first: linear dma-bufs of these pixels, up to its largest picture. */
static int accept_offer(struct fbk_device *encoder, int offer_fd, struct fbk_link **ret_link)
{
	static const uint32_t pixels[] = { DRM_FORMAT_NV12, DRM_FORMAT_YUYV, DRM_FORMAT_UYVY,
					   DRM_FORMAT_YUV420, DRM_FORMAT_XRGB8888 };
	struct fbk_format formats[sizeof(pixels) / sizeof(pixels[0])];
	const struct fbk_format *list[sizeof(pixels) / sizeof(pixels[0])];
	struct fbk_link_desc wanted = { .struct_size = sizeof(wanted), .formats = list };
	for (; wanted.format_count < sizeof(pixels) / sizeof(pixels[0]); wanted.format_count++) {
		list[wanted.format_count] = &formats[wanted.format_count];
		formats[wanted.format_count] = (struct fbk_format){
			.struct_size = sizeof(formats[0]),
			.memory = FBK_MEMORY_DMABUF,
			.fourcc = pixels[wanted.format_count],
			.modifier = DRM_FORMAT_MOD_LINEAR,
			.width_min = 16,
			.width_max = 8192,
			.height_min = 16,
			.height_max = 8192,
		};
	}
	return fbk_link_accept(encoder, offer_fd, &wanted, ret_link);
}

static int run(struct fbk_context *ctx, int offer_fd)
{
	struct fbk_device_desc desc = {
		.struct_size = sizeof(struct fbk_device_desc),
		.name = "vcn0",
		.device_class = FBK_CLASS_ENCODER,
		.waits = FBK_FENCE_SYNC_FILE | FBK_FENCE_EVENTFD,
		.signals = FBK_FENCE_EVENTFD,
	};
	struct fbk_device *encoder;
	struct fbk_link *link;
	struct fbk_frame *frame;
	int r = fbk_device_register(ctx, &desc, &encoder);
	if (r == 0) {
		r = accept_offer(encoder, offer_fd, &link);
	}
	if (r < 0) {
		return r;
	}
	unsigned long count = 0;
	while ((r = fbk_link_next(link, deadline(), &frame)) == 0) {
		r = encode(fbk_frame_buffer(frame)->fd[0], fbk_frame_acquire_fd(frame, deadline()));
		if (r == 0) {
			r = fbk_frame_error(frame); /* which the fd can't tell */
		}
		fbk_frame_release(frame, r); /* r < 0: the producer gets the error */
		fbk_frame_unref(frame);
		count++;
	}
	printf("%lu frames; link ended: %s\n", count, fbk_error_detail());
	fbk_link_close(link);
	return r == -EPIPE ? 0 : r;
}

int main(int argc, char **argv)
{
	struct fbk_context *ctx;
	if (argc != 2 || strcmp(argv[1], "--help") == 0) {
		printf("Usage: %s OFFER-FD\nEncodes the frames of a link.\n", argv[0]);
		return argc == 2 ? EXIT_SUCCESS : 2;
	}
	int r = fbk_connect(NULL, &ctx);
	if (r == 0) {
		r = run(ctx, atoi(argv[1]));
	}
	if (r < 0) {
		fprintf(stderr, "%s: %s\n", argv[0], fbk_error_detail());
		return EXIT_FAILURE;
	}
	fbk_disconnect(ctx);
	return EXIT_SUCCESS;
}
