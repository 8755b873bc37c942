// SPDX-License-Identifier: MIT
#include "v4l2.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/videodev2.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "clock.h"

static int call(int fd, unsigned long request, void *argument)
{
	int r;
	do {
		r = ioctl(fd, request, argument);
	} while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : 0;
}

static struct v4l2_buffer buffer_of(uint32_t index)
{
	return (struct v4l2_buffer){
		.index = index,
		.type = V4L2_BUF_TYPE_VIDEO_CAPTURE,
		.memory = V4L2_MEMORY_MMAP,
	};
}

static int capability_check(struct v4l2 *device, char *error, size_t error_size)
{
	struct v4l2_capability capability = { 0 };
	int r = call(device->fd, VIDIOC_QUERYCAP, &capability);
	uint32_t needed = V4L2_CAP_VIDEO_CAPTURE | V4L2_CAP_STREAMING;
	if (r < 0 || (capability.device_caps & needed) != needed) {
		snprintf(error, error_size, "it is not a V4L2 device that captures into buffers");
		return r < 0 ? r : -ENODEV;
	}
	snprintf(device->card, sizeof(device->card), "%s", (const char *)capability.card);
	snprintf(device->driver, sizeof(device->driver), "%s", (const char *)capability.driver);
	return 0;
}

static int format_set(struct v4l2 *device, uint32_t width, uint32_t height, uint32_t fps,
		      char *error, size_t error_size)
{
	struct v4l2_format format = { .type = V4L2_BUF_TYPE_VIDEO_CAPTURE };
	struct v4l2_streamparm rate = {
		.type = V4L2_BUF_TYPE_VIDEO_CAPTURE,
		.parm.capture.timeperframe = { 1, fps },
	};
	struct v4l2_pix_format *pix = &format.fmt.pix;
	pix->width = width;
	pix->height = height;
	pix->pixelformat = V4L2_PIX_FMT_YUV420;
	pix->field = V4L2_FIELD_NONE;
	int r = call(device->fd, VIDIOC_S_FMT, &format);
	if (r < 0 || pix->pixelformat != V4L2_PIX_FMT_YUV420) {
		snprintf(error, error_size, "%s can't capture YU12 pictures", device->card);
		return r < 0 ? r : -EINVAL;
	}
	device->width = pix->width;
	device->height = pix->height;
	device->stride = pix->bytesperline;
	call(device->fd, VIDIOC_S_PARM, &rate); /* best effort: a driver may not support it */
	return 0;
}

static int buffers_create(struct v4l2 *device, char *error, size_t error_size)
{
	struct v4l2_requestbuffers request = {
		.count = V4L2_BUFFERS,
		.type = V4L2_BUF_TYPE_VIDEO_CAPTURE,
		.memory = V4L2_MEMORY_MMAP,
	};
	int r = call(device->fd, VIDIOC_REQBUFS, &request);
	if (r == 0 && request.count != V4L2_BUFFERS) {
		r = -ENOMEM;
	}
	for (uint32_t i = 0; r == 0 && i < V4L2_BUFFERS; i++) {
		struct v4l2_exportbuffer export = {
			.type = V4L2_BUF_TYPE_VIDEO_CAPTURE,
			.index = i,
			.flags = O_RDWR | O_CLOEXEC,
		};
		r = call(device->fd, VIDIOC_EXPBUF, &export);
		device->dmabufs[i] = r == 0 ? export.fd : -1;
	}
	if (r < 0) {
		snprintf(error, error_size, "%s can't export buffers as dma-bufs: %s", device->card,
			 strerror(-r));
	}
	return r;
}

int v4l2_open(struct v4l2 *device, const char *path, uint32_t width, uint32_t height, uint32_t fps,
	      char *error, size_t error_size)
{
	*device = (struct v4l2){ .fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK) };
	for (size_t i = 0; i < V4L2_BUFFERS; i++) {
		device->dmabufs[i] = -1;
	}
	if (device->fd < 0) {
		int r = -errno;
		snprintf(error, error_size, "%s", strerror(-r));
		return r;
	}
	int r = capability_check(device, error, error_size);
	if (r == 0) {
		r = format_set(device, width, height, fps, error, error_size);
	}
	if (r == 0) {
		r = buffers_create(device, error, error_size);
	}
	if (r < 0) {
		v4l2_close(device);
	}
	return r;
}

int v4l2_start(struct v4l2 *device)
{
	int type = V4L2_BUF_TYPE_VIDEO_CAPTURE;
	int r = 0;
	for (uint32_t i = 0; r == 0 && i < V4L2_BUFFERS; i++) {
		r = v4l2_queue(device, i);
	}
	return r < 0 ? r : call(device->fd, VIDIOC_STREAMON, &type);
}

/* Drivers of today count on CLOCK_MONOTONIC; of others, now has to do. */
static uint64_t time_ns(const struct v4l2_buffer *buffer)
{
	bool monotonic =
		(buffer->flags & V4L2_BUF_FLAG_TIMESTAMP_MASK) == V4L2_BUF_FLAG_TIMESTAMP_MONOTONIC;
	return monotonic ? (uint64_t)buffer->timestamp.tv_sec * NS_PER_S +
				   (uint64_t)buffer->timestamp.tv_usec * 1000
			 : clock_now();
}

int v4l2_dequeue(struct v4l2 *device, struct v4l2_picture *ret_picture)
{
	for (;;) {
		struct v4l2_buffer buffer = buffer_of(0);
		int r = call(device->fd, VIDIOC_DQBUF, &buffer);
		if (r < 0) {
			return r;
		}
		if (!(buffer.flags & V4L2_BUF_FLAG_ERROR)) {
			*ret_picture = (struct v4l2_picture){
				.index = buffer.index,
				.sequence = buffer.sequence,
				.time_ns = time_ns(&buffer),
				.at_start = (buffer.flags & V4L2_BUF_FLAG_TSTAMP_SRC_MASK) ==
					    V4L2_BUF_FLAG_TSTAMP_SRC_SOE,
			};
			return 0;
		}
		r = v4l2_queue(device, buffer.index);
		if (r < 0) {
			return r;
		}
	}
}

int v4l2_queue(struct v4l2 *device, uint32_t index)
{
	struct v4l2_buffer buffer = buffer_of(index);
	return call(device->fd, VIDIOC_QBUF, &buffer);
}

void v4l2_close(struct v4l2 *device)
{
	if (device->fd < 0) {
		return;
	}
	for (size_t i = 0; i < V4L2_BUFFERS; i++) {
		if (device->dmabufs[i] >= 0) {
			close(device->dmabufs[i]);
		}
	}
	close(device->fd);
	device->fd = -1;
}
