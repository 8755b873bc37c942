// SPDX-License-Identifier: MIT
/* The loads that a check of a point needs at least. In a shared object, since the call to a library goes
 * through the PLT. Includes no header of fencebroker. */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

struct raw_owner {
	_Atomic uint8_t *ours; /* false in a forked child */
};

struct raw_line {
	struct raw_owner *owner;
	_Atomic uint64_t *payload;
	_Atomic uint32_t *status;
};

struct raw_point {
	struct raw_line *line;
	uint64_t value;
};

__attribute__((visibility("default"))) int raw_check(struct raw_point point);
