// SPDX-License-Identifier: MIT
/*
 * A display through KMS: the first connected connector of a card, driven atomically in one of its
 * modes, with buffers in plain memory. Display hardware knows kernel fences only: it waits on an
 * IN_FENCE, and gives an OUT_FENCE that signals when a picture is on screen. One thread at a time.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <xf86drmMode.h>

#define SCREEN_BUFFERS_MAX 4

/* 32 bits a pixel: blue, green, red, unused. All black at first. */
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
 * Open a card (by path, or NULL: the first usable one) in its smallest mode that fits width x height,
 * else in the first, which the display prefers. Make `buffers` buffers and show the last one.
 *   -ENODEV  no usable card   -EACCES  another process drives the display
 * `error` gets a sentence that says what is missing.
 */
int screen_open(struct screen *screen, const char *card, unsigned int width, unsigned int height,
		unsigned int buffers, char *error, size_t error_size);

void screen_close(struct screen *screen); /* no effect if not open (card -1) */

/* A request that shows buffer `index`, after the sync_file `in_fence` (-1: at once; borrowed). The commit
 * stores the OUT_FENCE, which signals when the buffer is on screen, in `ret_out_fence` (NULL: none).
 * NULL: out of memory. Free it with drmModeAtomicFree(). */
drmModeAtomicReq *screen_request(const struct screen *screen, unsigned int index, int in_fence,
				 int32_t *ret_out_fence);

/* Flags of a flip's commit: without sleeping, and with an event for screen_event(). */
#define SCREEN_FLIP (DRM_MODE_ATOMIC_NONBLOCK | DRM_MODE_PAGE_FLIP_EVENT)

/* Commit such a request now. `frame` comes back with the event.
 *   -EBUSY  the last flip is not done */
int screen_flip(const struct screen *screen, unsigned int index, int in_fence,
		int32_t *ret_out_fence, uint64_t frame);

/* A picture is on screen. */
struct screen_event {
	uint64_t frame;
	uint64_t time_us;  /* CLOCK_MONOTONIC */
	uint32_t sequence; /* of the display's refreshes; 0 if the hardware has none */
};

/* The next event; -ETIMEDOUT: none within that time. `card` is readable when there is one. */
int screen_event(const struct screen *screen, unsigned int timeout_ms,
		 struct screen_event *ret_event);
