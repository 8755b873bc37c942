// SPDX-License-Identifier: MIT
#include "glyph.h"

#include <stdio.h>
#include <string.h>

#define DIGITS_MIN 6
#define WHITE      235
#define SHADOW     24
#define GREY       128

static const char *const digits[10][GLYPH_ROWS] = {
	{ ".###.", "#...#", "#..##", "#.#.#", "##..#", "#...#", ".###." },
	{ "..#..", ".##..", "..#..", "..#..", "..#..", "..#..", ".###." },
	{ ".###.", "#...#", "....#", "..##.", ".#...", "#....", "#####" },
	{ ".###.", "#...#", "....#", "..##.", "....#", "#...#", ".###." },
	{ "...#.", "..##.", ".#.#.", "#..#.", "#####", "...#.", "...#." },
	{ "#####", "#....", "####.", "....#", "....#", "#...#", ".###." },
	{ "..##.", ".#...", "#....", "####.", "#...#", "#...#", ".###." },
	{ "#####", "....#", "...#.", "..#..", ".#...", ".#...", ".#..." },
	{ ".###.", "#...#", "#...#", ".###.", "#...#", "#...#", ".###." },
	{ ".###.", "#...#", "#...#", ".####", "....#", "...#.", ".##.." },
};

/* A square without colour; `x`, `y` and `size` are even. */
static void block(const struct picture *picture, unsigned int x, unsigned int y, unsigned int size,
		  int luma)
{
	for (unsigned int row = 0; row < size; row++) {
		memset(picture->planes[0] + (y + row) * picture->strides[0] + x, luma, size);
	}
	for (size_t plane = 1; plane < PICTURE_PLANES; plane++) {
		for (unsigned int row = 0; row < size / 2; row++) {
			memset(picture->planes[plane] + (y / 2 + row) * picture->strides[plane] +
				       x / 2,
			       GREY, size / 2);
		}
	}
}

static void digit_draw(const struct picture *picture, unsigned int digit, unsigned int x,
		       unsigned int y, unsigned int size, int luma)
{
	for (unsigned int row = 0; row < GLYPH_ROWS; row++) {
		for (unsigned int column = 0; column < GLYPH_COLUMNS; column++) {
			if (digits[digit][row][column] == '#') {
				block(picture, x + column * size, y + row * size, size, luma);
			}
		}
	}
}

struct glyph_place glyph_place(unsigned int width, unsigned int height, unsigned int top,
			       uint32_t number)
{
	struct glyph_place place = { .count = (unsigned int)snprintf(NULL, 0, "%0*u", DIGITS_MIN,
								     number) };
	unsigned int columns = place.count * (GLYPH_COLUMNS + 1) + 1;
	unsigned int size = width / 2 / columns & ~1u; /* half the width, even */
	if (size < 2) {
		size = 2;
	}
	if (columns * size > width || top + (GLYPH_ROWS + 1) * size > height) {
		return place;
	}
	place.block = size;
	place.x = (width - columns * size) & ~1u;
	place.y = (height - (GLYPH_ROWS + 1) * size) & ~1u;
	place.shift = size / 2 & ~1u;
	return place;
}

unsigned int glyph_row(unsigned int digit, unsigned int row)
{
	unsigned int bits = 0;
	for (unsigned int column = 0; column < GLYPH_COLUMNS; column++) {
		bits = bits << 1 | (digits[digit][row][column] == '#');
	}
	return bits;
}

void glyph_draw_number(const struct picture *picture, unsigned int top, uint32_t number)
{
	struct glyph_place place = glyph_place(picture->width, picture->height, top, number);
	char text[16];
	snprintf(text, sizeof(text), "%0*u", DIGITS_MIN, number);
	for (unsigned int i = 0; place.block > 0 && i < place.count; i++) {
		unsigned int digit = (unsigned int)(text[i] - '0');
		unsigned int left = place.x + i * (GLYPH_COLUMNS + 1) * place.block;
		digit_draw(picture, digit, left + place.shift, place.y + place.shift, place.block,
			   SHADOW);
		digit_draw(picture, digit, left, place.y, place.block, WHITE);
	}
}
