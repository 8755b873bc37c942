// SPDX-License-Identifier: MIT
#include "glyph.h"

#include <stdio.h>
#include <string.h>

#define COLUMNS    5 /* of a digit, and one empty between two */
#define ROWS       7
#define DIGITS_MIN 6
#define WHITE      235
#define SHADOW     24
#define GREY       128

static const char *const digits[10][ROWS] = {
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
	for (unsigned int row = 0; row < ROWS; row++) {
		for (unsigned int column = 0; column < COLUMNS; column++) {
			if (digits[digit][row][column] == '#') {
				block(picture, x + column * size, y + row * size, size, luma);
			}
		}
	}
}

void glyph_draw_number(const struct picture *picture, unsigned int top, uint32_t number)
{
	char text[16];
	int length = snprintf(text, sizeof(text), "%0*u", DIGITS_MIN, number);
	unsigned int columns = (unsigned int)length * (COLUMNS + 1) + 1;
	unsigned int size = picture->width / 2 / columns & ~1u; /* half the width, even */
	if (size < 2) {
		size = 2;
	}
	if (columns * size > picture->width || top + (ROWS + 1) * size > picture->height) {
		return;
	}
	unsigned int x = (picture->width - columns * size) & ~1u;
	unsigned int y = (picture->height - (ROWS + 1) * size) & ~1u;
	unsigned int shift = size / 2 & ~1u;
	for (int i = 0; i < length; i++) {
		unsigned int digit = (unsigned int)(text[i] - '0');
		unsigned int left = x + (unsigned int)i * (COLUMNS + 1) * size;
		digit_draw(picture, digit, left + shift, y + shift, size, SHADOW);
		digit_draw(picture, digit, left, y, size, WHITE);
	}
}
