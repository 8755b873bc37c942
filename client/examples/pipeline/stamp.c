// SPDX-License-Identifier: MIT
#include "stamp.h"

#include <errno.h>
#include <string.h>

#define BITS       48
#define BLACK      16
#define WHITE      235
#define GREY       128 /* chroma without colour */
#define DOUBT      32  /* a mean this close to the middle is neither black nor white */
#define INNER      8   /* the middle of a cell, out of reach of edge filters */
#define INNER_FROM ((STAMP_CELL - INNER) / 2)

static uint16_t crc16(uint32_t number)
{
	uint16_t crc = 0xffff; /* CCITT: all black and all white are both invalid */
	for (int i = 31; i >= 0; i--) {
		unsigned int bit = ((unsigned int)crc >> 15 ^ number >> i) & 1;
		crc = (uint16_t)((unsigned int)crc << 1 ^ (bit ? 0x1021 : 0));
	}
	return crc;
}

unsigned int stamp_columns(unsigned int width)
{
	unsigned int columns = width / STAMP_CELL;
	return columns > BITS / 2 ? BITS / 2 : columns;
}

unsigned int stamp_height(unsigned int width)
{
	unsigned int columns = stamp_columns(width);
	return (BITS + columns - 1) / columns * STAMP_CELL;
}

static void fill(uint8_t *plane, size_t stride, unsigned int size, int value)
{
	for (unsigned int y = 0; y < size; y++) {
		memset(plane + y * stride, value, size);
	}
}

static void cell_write(const struct picture *picture, unsigned int x, unsigned int y, int luma)
{
	fill(picture->planes[0] + y * picture->strides[0] + x, picture->strides[0], STAMP_CELL,
	     luma);
	for (size_t i = 1; i < PICTURE_PLANES; i++) {
		fill(picture->planes[i] + y / 2 * picture->strides[i] + x / 2, picture->strides[i],
		     STAMP_CELL / 2, GREY);
	}
}

uint64_t stamp_bits(uint32_t number)
{
	return (uint64_t)number << 16 | crc16(number);
}

void stamp_write(const struct picture *picture, uint32_t number)
{
	uint64_t bits = stamp_bits(number);
	unsigned int columns = stamp_columns(picture->width);
	for (unsigned int i = 0; i < BITS; i++) {
		cell_write(picture, i % columns * STAMP_CELL, i / columns * STAMP_CELL,
			   bits >> (BITS - 1 - i) & 1 ? WHITE : BLACK);
	}
}

static int cell_read(const struct picture *picture, unsigned int x, unsigned int y)
{
	int sum = 0;
	for (unsigned int i = 0; i < INNER * INNER; i++) {
		size_t row = y + INNER_FROM + i / INNER;
		sum += picture->planes[0][row * picture->strides[0] + x + INNER_FROM + i % INNER];
	}
	int distance = sum / (INNER * INNER) - (BLACK + WHITE) / 2;
	if (distance > -DOUBT && distance < DOUBT) {
		return -EBADMSG;
	}
	return distance > 0;
}

int stamp_read(const struct picture *picture, uint32_t *ret_number)
{
	uint64_t bits = 0;
	unsigned int columns = stamp_columns(picture->width);
	for (unsigned int i = 0; i < BITS; i++) {
		int bit = cell_read(picture, i % columns * STAMP_CELL, i / columns * STAMP_CELL);
		if (bit < 0) {
			return bit;
		}
		bits = bits << 1 | (unsigned int)bit;
	}
	uint32_t number = (uint32_t)(bits >> 16);
	if ((bits & 0xffff) != crc16(number)) {
		return -EBADMSG;
	}
	*ret_number = number;
	return 0;
}
