// SPDX-License-Identifier: MIT
/* What a check of a point has to load, at the least: in a shared object of its own, since a library's
 * function is called through the PLT. No header of ours. */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

struct raw_owner {
	_Atomic uint8_t *ours; /* is this still the process that made it? */
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
