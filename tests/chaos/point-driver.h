// SPDX-License-Identifier: MIT
/*
 * The driver of a stress run (driver.h): actors and hostile clients. It passes tokens between them,
 * and now and then tells an actor to leave. One thread.
 */
#pragma once

#include "driver.h"
#include "hostile.h"

struct point_aim {
	uint64_t signals,
		seconds; /* runs until so many signals, or so many seconds (0: no limit) */
	bool hostile;
};

struct point_report {
	struct driver_report driver;
	uint64_t leaves;
};

void point_drive(const struct chaos *chaos, const struct point_aim *aim,
		 struct point_report *ret_report);
