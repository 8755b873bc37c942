// SPDX-License-Identifier: MIT
/*
 * Runs the producers and consumers of a run with exchanges, passes offers on, and torments them: SIGSTOP and
 * SIGCONT, SIGKILL and a new one in its place, which gets the offer that the last one had. Writes a log of its
 * own, as driver.h does. One thread.
 */
#pragma once

#include "exchange-actor.h"

struct exchange_counts {
	uint64_t frames, kills, stops;
};

struct exchange_report {
	struct exchange_counts done;
	uint64_t crashes, ms;
};

/* Until that many were handed over, killed and stopped on the way; at least the first, and the others in
 * proportion. */
void exchange_drive(const struct exchange_run *run, const struct exchange_counts *aim,
		    struct exchange_report *ret_report);
