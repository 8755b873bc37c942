// SPDX-License-Identifier: MIT
/*
 * The driver of a stress run (driver.h): actors and hostile clients. Passes tokens between them, and tells an actor
 * now and then to leave. One thread.
 */
#pragma once

#include "driver.h"
#include "hostile.h"

struct point_aim {
	uint64_t signals,
		seconds; /* until that many were made, or so much time has passed (0: no matter) */
	bool hostile;
};

struct point_report {
	struct driver_report driver;
	uint64_t leaves;
};

void point_drive(const struct chaos *chaos, const struct point_aim *aim,
		 struct point_report *ret_report);
