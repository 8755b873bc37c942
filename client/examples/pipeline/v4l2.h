// SPDX-License-Identifier: MIT
/*
 * A V4L2 device that captures I420 pictures into its own buffers, shared as dma-bufs. It has no fences:
 * dequeue is the acquire, requeue the release. One thread at a time.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define V4L2_BUFFERS 6

struct v4l2 {
	int fd; /* pollable: readable when a buffer can be dequeued; -1: not open */
	char card[32];
	char driver[16];
	uint32_t width, height, stride; /* as the driver set them */
	int dmabufs[V4L2_BUFFERS];
};

/* `error` gets a sentence. The device may choose another size. */
int v4l2_open(struct v4l2 *device, const char *path, uint32_t width, uint32_t height, uint32_t fps,
	      char *error, size_t error_size);
int v4l2_start(struct v4l2 *device); /* queues all buffers */

/* A filled buffer, as the driver describes it. */
struct v4l2_picture {
	uint32_t index;
	uint32_t sequence; /* from 0 */
	uint64_t time_ns;  /* CLOCK_MONOTONIC */
	bool at_start;     /* of the exposure; else at its end */
};

/* The next one.  -EAGAIN  none */
int v4l2_dequeue(struct v4l2 *device, struct v4l2_picture *ret_picture);
int v4l2_queue(struct v4l2 *device, uint32_t index);
void v4l2_close(struct v4l2 *device); /* no effect if not open */
