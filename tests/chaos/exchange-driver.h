// SPDX-License-Identifier: MIT
/*
 * The driver of a run with exchanges (driver.h): producers and consumers. It passes the producers'
 * offers on; a new consumer gets the offer of its predecessor. One thread.
 */
#pragma once

#include "driver.h"
#include "exchange-actor.h"

struct exchange_aim {
	uint64_t frames, kills, stops;
};

/* Runs until so many frames were handed over, processes killed and stopped; kills and stops are
 * spread over the frames. */
void exchange_drive(const struct exchange_run *run, const struct exchange_aim *aim,
		    struct driver_report *ret_report);
