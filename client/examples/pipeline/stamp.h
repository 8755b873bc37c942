// SPDX-License-Identifier: MIT
/*
 * The frame number in the picture itself, for machines: 32 bits of number and 16 bits of checksum,
 * one black or white luma cell of 16x16 a bit, in rows from the top left corner. A cell is one
 * macroblock of H.264, so it survives any sane quantiser.
 */
#pragma once

#include "picture.h"

#define STAMP_CELL 16

/* Rows of luma that the stamp takes at this width: pictures leave them alone. */
unsigned int stamp_height(unsigned int width);

/* For those who write it by other means: cells in a row, and the 48 bits in their order, the first one
 * the highest. Black is 16, white 235, and both without colour. */
unsigned int stamp_columns(unsigned int width);
uint64_t stamp_bits(uint32_t number);

/* Write it, chroma included. */
void stamp_write(const struct picture *picture, uint32_t number);

/* 0; -EBADMSG when a cell is neither black nor white or the checksum is wrong. */
int stamp_read(const struct picture *picture, uint32_t *ret_number);
