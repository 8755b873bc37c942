// SPDX-License-Identifier: MIT
/* Random numbers that follow from a seed. Each thread has its own. */
#pragma once

#include <stdint.h>

struct dice {
	uint64_t state;
};

void dice_init(struct dice *dice, uint64_t seed, uint64_t stream);
uint64_t dice_below(struct dice *dice, uint64_t bound);
uint64_t dice_spread(struct dice *dice, uint64_t low, uint64_t high); /* even over the magnitudes */
void dice_dither(struct dice *dice);                                  /* spins for a moment */
void dice_sleep(struct dice *dice, uint64_t longest_us);
