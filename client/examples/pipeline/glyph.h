// SPDX-License-Identifier: MIT
/* The frame number for people: white digits with a shadow, in the lower right corner. */
#pragma once

#include "picture.h"

/* Draws no higher than row `top`. */
void glyph_draw_number(const struct picture *picture, unsigned int top, uint32_t number);
