// SPDX-License-Identifier: MIT
/*
 * The frame number in the picture, for machines: 32 bits of number and 16 bits of checksum, each bit a
 * black or white luma cell of 16x16, in rows from the top left corner. A cell is one macroblock of
 * H.264, so it survives any usual quantiser.
 */
#pragma once

#include "picture.h"

#define STAMP_CELL 16

/* Rows of luma that the stamp takes at this width; pictures leave them free. */
unsigned int stamp_height(unsigned int width);

/* The layout, for other ways to write it: cells per row, and the 48 bits in order, first one highest.
 * Black is 16, white 235, both without colour. */
unsigned int stamp_columns(unsigned int width);
uint64_t stamp_bits(uint32_t number);

/* Write it, with its chroma. */
void stamp_write(const struct picture *picture, uint32_t number);

/* 0; -EBADMSG when a cell is neither black nor white or the checksum is wrong. */
int stamp_read(const struct picture *picture, uint32_t *ret_number);
