// SPDX-License-Identifier: MIT
/*
 * A V4L2 device that captures I420 pictures into buffers of its own, which others see as dma-bufs. Not to be
 * waited for with a fence: dequeued means ready, queued means given back. One thread at a time.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define V4L2_BUFFERS 4

struct v4l2 {
	int fd; /* to poll: readable when a buffer can be dequeued; -1: not open */
	char card[32];
	char driver[16];
	uint32_t width, height, stride; /* as the driver has it */
	int dmabufs[V4L2_BUFFERS];
};

/* `error` gets a sentence. The device may choose another size. */
int v4l2_open(struct v4l2 *device, const char *path, uint32_t width, uint32_t height, uint32_t fps,
	      char *error, size_t error_size);
int v4l2_start(struct v4l2 *device); /* all buffers are the device's */

/* The next one that is filled, and the driver's number for it, from 0.  -EAGAIN  none */
int v4l2_dequeue(struct v4l2 *device, uint32_t *ret_index, uint32_t *ret_sequence);
int v4l2_queue(struct v4l2 *device, uint32_t index);
void v4l2_close(struct v4l2 *device); /* of one that is not open: nothing */
