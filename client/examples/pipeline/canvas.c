// SPDX-License-Identifier: MIT
#include "canvas.h"

#include <errno.h>
#include <linux/dma-buf.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "stamp.h"

/* The position of a picture on a canvas. */
struct place {
	unsigned int scale; /* that many pixels of the picture make one */
	unsigned int x, y, width, height;
};

static struct place place_of(const struct canvas *canvas, unsigned int width, unsigned int height)
{
	struct place place = { .scale = 1 };
	while (width / place.scale > canvas->width || height / place.scale > canvas->height) {
		place.scale++;
	}
	place.width = width / place.scale;
	place.height = height / place.scale;
	place.x = (canvas->width - place.width) / 2;
	place.y = (canvas->height - place.height) / 2;
	return place;
}

static uint32_t *row_at(const struct canvas *canvas, const struct place *place, unsigned int y)
{
	uint8_t *memory = canvas->memory;
	return (uint32_t *)(void *)(memory + (place->y + y) * canvas->stride) + place->x;
}

/* BT.601, limited range, in 8.8 fixed point. */
static uint32_t clamped(int value)
{
	return value < 0 ? 0 : value > 0xffff ? 0xff : (uint32_t)value >> 8;
}

static uint32_t pixel_of(int luma, int u, int v)
{
	int grey = 298 * (luma - 16) + 128;
	u -= 128;
	v -= 128;
	return clamped(grey + 409 * v) << 16 | clamped(grey - 100 * u - 208 * v) << 8 |
	       clamped(grey + 516 * u);
}

static void row_draw(const struct canvas *canvas, const struct place *place,
		     const struct picture *picture, unsigned int y)
{
	uint32_t *row = row_at(canvas, place, y);
	unsigned int from = y * place->scale;
	const uint8_t *luma = picture->planes[0] + from * picture->strides[0];
	const uint8_t *u = picture->planes[1] + from / 2 * picture->strides[1];
	const uint8_t *v = picture->planes[2] + from / 2 * picture->strides[2];
	for (unsigned int x = 0; x < place->width; x++) {
		unsigned int at = x * place->scale;
		row[x] = pixel_of(luma[at], u[at / 2], v[at / 2]);
	}
}

/* Makes the CPU's caches agree with the memory that the display reads. */
static void canvas_sync(const struct canvas *canvas, uint64_t when)
{
	struct dma_buf_sync sync = { .flags = DMA_BUF_SYNC_WRITE | when };
	if (canvas->dmabuf >= 0) {
		ioctl(canvas->dmabuf, DMA_BUF_IOCTL_SYNC, &sync);
	}
}

void canvas_draw(const struct canvas *canvas, const struct picture *picture)
{
	canvas_sync(canvas, DMA_BUF_SYNC_START);
	struct place place = place_of(canvas, picture->width, picture->height);
	unsigned int stamp = stamp_height(picture->width) / place.scale;
	for (unsigned int y = 0; y < stamp; y++) {
		/* grey is not a digit */
		memset(row_at(canvas, &place, y), 0x80, place.width * sizeof(uint32_t));
	}
	for (unsigned int y = place.height; y > 0; y--) {
		row_draw(canvas, &place, picture, y - 1);
	}
	canvas_sync(canvas, DMA_BUF_SYNC_END);
}

int canvas_read(const struct canvas *canvas, unsigned int width, unsigned int height,
		uint32_t *ret_number)
{
	struct place place = place_of(canvas, width, height);
	unsigned int rows = stamp_height(width);
	uint8_t *luma = malloc((size_t)width * rows);
	if (!luma) {
		return -ENOMEM;
	}
	struct picture stamp = {
		.width = width, .height = rows, .planes = { luma }, .strides = { width }
	};
	for (unsigned int y = 0; y < rows; y++) {
		const uint32_t *row = row_at(canvas, &place, y / place.scale);
		for (unsigned int x = 0; x < width; x++) {
			/* the last pixel stands for a remainder */
			unsigned int at = x / place.scale;
			at = at < place.width ? at : place.width - 1;
			luma[(size_t)y * width + x] = (uint8_t)(row[at] >> 8);
		}
	}
	int r = stamp_read(&stamp, ret_number);
	free(luma);
	return r;
}
