// SPDX-License-Identifier: MIT
/*
 * A display through KMS: the first connected connector of a card, driven atomically in one of its
 * modes, and buffers in plain memory to show there. Display hardware like this knows the kernel's
 * fences and no others: it takes one that it waits for, and gives one that says when a picture is on
 * screen. One thread at a time.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <xf86drmMode.h>

#define SCREEN_BUFFERS_MAX 4

/* 32 bits a pixel: blue, green, red, nothing. All black at first. */
struct screen_buffer {
	void *memory;
	size_t size;
	unsigned int stride; /* in bytes */
	uint32_t handle, framebuffer;
	int dmabuf; /* the same memory for other processes */
};

struct screen {
	int card;
	unsigned int width, height; /* of its mode */
	drmModeModeInfo mode;
	uint32_t mode_blob;
	uint32_t connector, crtc, plane;
	struct {
		uint32_t connector_crtc;
		uint32_t mode, active, out_fence;
		uint32_t framebuffer, plane_crtc, in_fence;
		uint32_t from_x, from_y, from_width, from_height;
		uint32_t x, y, width, height;
	} properties;
	struct screen_buffer buffers[SCREEN_BUFFERS_MAX];
	unsigned int buffer_count;
};

/*
 * Open a card (its path, or NULL: the first that can do it), in its smallest mode that holds
 * width x height, or in its largest; make `buffers` of them and show the last one.
 *   -ENODEV  no card that would do   -EACCES  somebody else drives the display
 * `error` gets a sentence that says what is missing.
 */
int screen_open(struct screen *screen, const char *card, unsigned int width, unsigned int height,
		unsigned int buffers, char *error, size_t error_size);

void screen_close(struct screen *screen); /* of one that is not open (card -1): nothing */

/* Show buffer `index`, waiting for the sync_file `in_fence` first (-1: for nothing; borrowed). The
 * sync_file that says when it is on screen is put into `ret_out_fence` (NULL: not asked for) by the
 * commit, whenever that is. NULL: out of memory. Free it with drmModeAtomicFree(). */
drmModeAtomicReq *screen_request(const struct screen *screen, unsigned int index, int in_fence,
				 int32_t *ret_out_fence);

/* What a flip is committed with: without sleeping, and telling screen_event(). */
#define SCREEN_FLIP (DRM_MODE_ATOMIC_NONBLOCK | DRM_MODE_PAGE_FLIP_EVENT)

/* Such a request at once. `frame` comes back with the event.
 *   -EBUSY  the flip before is not done */
int screen_flip(const struct screen *screen, unsigned int index, int in_fence,
		int32_t *ret_out_fence, uint64_t frame);

/* A picture is on screen. */
struct screen_event {
	uint64_t frame;
	uint64_t time_us;  /* CLOCK_MONOTONIC */
	uint32_t sequence; /* of the display's refreshes; 0 where the hardware has none */
};

/* The next one; -ETIMEDOUT: none within that time. Readable `card` says that there is one. */
int screen_event(const struct screen *screen, unsigned int timeout_ms,
		 struct screen_event *ret_event);
