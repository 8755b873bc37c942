// SPDX-License-Identifier: MIT
#include "provider.h"

#include <stddef.h>

static const struct provider *const providers[] = {
	&provider_eventfd,
	&provider_syncobj,
};

const struct provider *provider_find(uint32_t kind)
{
	for (size_t i = 0; i < sizeof(providers) / sizeof(providers[0]); i++) {
		if (providers[i]->kind == kind) {
			return providers[i];
		}
	}
	return NULL;
}
