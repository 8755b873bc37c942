// SPDX-License-Identifier: MIT
/*
 * The driver of a run with exchanges (driver.h): producers and consumers. Passes offers on; a new consumer gets the
 * offer that the last one had. One thread.
 */
#pragma once

#include "driver.h"
#include "exchange-actor.h"

struct exchange_aim {
	uint64_t frames, kills, stops;
};

/* Until that many were handed over, killed and stopped on the way; at least the first, and the others in
 * proportion. */
void exchange_drive(const struct exchange_run *run, const struct exchange_aim *aim,
		    struct driver_report *ret_report);
