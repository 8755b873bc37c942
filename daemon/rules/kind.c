// SPDX-License-Identifier: MIT
#include "kind.h"

static const char *const names[KIND_COUNT] = {
	"memory64", "memory32", "sync_file", "syncobj-timeline", "dma-buf-implicit", "eventfd",
};

size_t kind_names(uint32_t mask, const char *ret_names[KIND_COUNT])
{
	size_t count = 0;
	for (unsigned int bit = 0; bit < KIND_COUNT; bit++) {
		if (mask & (1U << bit)) {
			ret_names[count++] = names[bit];
		}
	}
	return count;
}

const char *kind_name(uint32_t kind)
{
	const char *found[KIND_COUNT];
	return kind_names(kind, found) == 1 ? found[0] : "no fence kind";
}
