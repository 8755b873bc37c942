// SPDX-License-Identifier: MIT
/*
 * A buffer of a display, as those see it who draw there and who check it: 32 bits a pixel, blue
 * first. A picture is put into its middle, or made smaller by a whole number where it is too large.
 * A value type; the memory is somebody else's.
 */
#pragma once

#include "picture.h"

struct canvas {
	void *memory;
	size_t stride; /* in bytes */
	unsigned int width, height;
	int dmabuf; /* that the memory belongs to; -1: to none */
};

/* Put the picture there. Its frame number is destroyed first and written last: who looks in the
 * middle of it finds none. */
void canvas_draw(const struct canvas *canvas, const struct picture *picture);

/* The frame number of a picture of that size that was put there.
 *   -EBADMSG  there is none   -ENOMEM */
int canvas_read(const struct canvas *canvas, unsigned int width, unsigned int height,
		uint32_t *ret_number);
