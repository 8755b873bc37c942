// SPDX-License-Identifier: MIT
#include "notifier.h"

#include <stddef.h>

static const struct notifier *const notifiers[] = {
	&notifier_eventfd,
	&notifier_sync_file,
	&notifier_syncobj,
};

const struct notifier *notifier_find(uint32_t kind)
{
	for (size_t i = 0; i < sizeof(notifiers) / sizeof(notifiers[0]); i++) {
		if (notifiers[i]->kind == kind) {
			return notifiers[i];
		}
	}
	return NULL;
}
