// SPDX-License-Identifier: MIT
/* The clock that all processes of the pipeline share: CLOCK_MONOTONIC in nanoseconds. */
#pragma once

#include <stdint.h>
#include <time.h>

#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S  UINT64_C(1000000000)

static inline uint64_t clock_now(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

/* Milliseconds until `deadline` for poll(), rounded up so that poll() never returns early. */
static inline int clock_poll_ms(uint64_t deadline)
{
	uint64_t now = clock_now();
	if (deadline <= now) {
		return 0;
	}
	uint64_t left = (deadline - now + NS_PER_MS - 1) / NS_PER_MS;
	return left > INT32_MAX ? INT32_MAX : (int)left;
}

static inline void clock_sleep_until(uint64_t when)
{
	struct timespec until = { .tv_sec = (time_t)(when / NS_PER_S),
				  .tv_nsec = (long)(when % NS_PER_S) };
	/* restart after a signal */
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) != 0) {
	}
}
