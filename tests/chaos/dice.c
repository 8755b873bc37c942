// SPDX-License-Identifier: MIT
#include "dice.h"

#include <time.h>

static uint64_t dice_next(struct dice *dice)
{
	uint64_t x = dice->state += UINT64_C(0x9e3779b97f4a7c15);
	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

void dice_init(struct dice *dice, uint64_t seed, uint64_t stream)
{
	dice->state = seed;
	dice->state = dice_next(dice) + stream * UINT64_C(0xd1342543de82ef95);
}

uint64_t dice_below(struct dice *dice, uint64_t bound)
{
	return dice_next(dice) % bound;
}

uint64_t dice_spread(struct dice *dice, uint64_t low, uint64_t high)
{
	uint64_t top = low;
	unsigned int doublings = 0;
	while (top < high) {
		top *= 2;
		doublings++;
	}
	top = low << dice_below(dice, doublings + 1);
	top += dice_below(dice, top);
	return top < high ? top : high;
}

void dice_dither(struct dice *dice)
{
	for (volatile uint64_t i = dice_below(dice, 2000); i > 0; i--) {
	}
}

void dice_sleep(struct dice *dice, uint64_t longest_us)
{
	uint64_t ns = 1000 * dice_spread(dice, 1, longest_us);
	struct timespec pause = { .tv_sec = (time_t)(ns / 1000000000),
				  .tv_nsec = (long)(ns % 1000000000) };
	nanosleep(&pause, NULL);
}
