// SPDX-License-Identifier: MIT
/* The frame number for people: white digits with a shadow, in the lower right corner. */
#pragma once

#include "picture.h"

#define GLYPH_COLUMNS 5 /* of a digit; one empty column between two */
#define GLYPH_ROWS    7

/* Draws at row `top` or below. */
void glyph_draw_number(const struct picture *picture, unsigned int top, uint32_t number);

/* The layout, for other ways to draw it. */
struct glyph_place {
	unsigned int count; /* of digits, leading zeros included */
	unsigned int x, y;  /* of the first one */
	unsigned int block; /* pixels of a block, even; 0: no room */
	unsigned int shift; /* of the shadow, down and to the right */
};
struct glyph_place glyph_place(unsigned int width, unsigned int height, unsigned int top,
			       uint32_t number);
unsigned int glyph_row(unsigned int digit,
		       unsigned int row); /* one bit per block, leftmost highest */
