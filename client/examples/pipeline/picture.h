// SPDX-License-Identifier: MIT
/*
 * An I420 picture in borrowed memory (a mapped buffer, a decoded frame): the addresses of its planes. A
 * value type. Sizes are even and within PICTURE_MIN_* and PICTURE_MAX.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define PICTURE_MIN_WIDTH  160
#define PICTURE_MIN_HEIGHT 128
#define PICTURE_MAX        4096
#define PICTURE_PLANES     3

struct picture {
	unsigned int width, height;
	uint8_t *planes[PICTURE_PLANES]; /* Y, U, V */
	size_t strides[PICTURE_PLANES];
};

/* 0, or -EINVAL with a sentence for people in `ret_why`. */
int picture_check_size(unsigned int width, unsigned int height, const char **ret_why);

/* Bytes of a buffer for one picture: whole pages. */
size_t picture_bytes(unsigned int width, unsigned int height);

/* The picture at the start of `memory`, which has picture_bytes(). */
struct picture picture_at(void *memory, unsigned int width, unsigned int height);
