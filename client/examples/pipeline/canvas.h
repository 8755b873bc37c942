// SPDX-License-Identifier: MIT
/*
 * A buffer of a display, for drawing and for checks: 32 bits a pixel, blue first. A picture goes into
 * its middle, shrunk by a whole factor if it is too large. A value type; it borrows the memory.
 */
#pragma once

#include "picture.h"

struct canvas {
	void *memory;
	size_t stride; /* in bytes */
	unsigned int width, height;
	int dmabuf; /* the dma-buf of the memory; -1: none */
};

/* Draw the picture there. This erases its frame number first and writes it last: a reader in between
 * finds none. */
void canvas_draw(const struct canvas *canvas, const struct picture *picture);

/* The frame number of a picture of that size on the canvas.
 *   -EBADMSG  there is none   -ENOMEM */
int canvas_read(const struct canvas *canvas, unsigned int width, unsigned int height,
		uint32_t *ret_number);
