// SPDX-License-Identifier: MIT
#include "raw-loads.h"

#include <errno.h>
#include <stddef.h>

int raw_check(struct raw_point point)
{
	struct raw_line *line = point.line;
	if (!line) {
		return 0;
	}
	/* relaxed: set once, before it is shared */
	if (!atomic_load_explicit(line->owner->ours, memory_order_relaxed)) {
		return -EBADF;
	}
	/* acquire: the data that the payload publishes, then the status */
	uint64_t payload = atomic_load_explicit(line->payload, memory_order_acquire);
	uint32_t status = atomic_load_explicit(line->status, memory_order_acquire);
	return status == 1 && payload >= point.value ? 0 : -EAGAIN;
}
