// SPDX-License-Identifier: MIT
#include "inspect-filter.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/include/fencebroker.h"
#include "daemon/rules/pattern.h"

int filter_init(struct filter *filter, uint64_t after_id, const Fbk__Wire__Filter *wanted,
		uint32_t limit, size_t room, char *detail)
{
	*filter = (struct filter){
		.wanted = wanted,
		.after_id = after_id,
		.most = limit > 0 && limit < room ? limit : room,
	};
	if (wanted && strlen(wanted->name) >= FILTER_PATTERN_MAX) {
		snprintf(detail, FBK_REASON_SIZE, "a pattern of names has at most %d characters",
			 FILTER_PATTERN_MAX - 1);
		return -EINVAL;
	}
	if (wanted && wanted->device[0] == '#') {
		filter->device_id = strtoull(wanted->device + 1, NULL, 10);
	}
	return 0;
}

enum filter_place filter_at(struct filter *filter, uint64_t id)
{
	if (filter->after_id && id >= filter->after_id) {
		return FILTER_BEFORE;
	}
	if (filter->wanted && filter->looks == FILTER_LOOKS_MAX) {
		return FILTER_END;
	}
	filter->looks++;
	filter->last = id;
	return FILTER_IN;
}

static bool filter_takes_device(const struct filter *filter, const struct filter_view *view)
{
	const char *wanted = filter->wanted->device;
	if (!wanted[0]) {
		return true;
	}
	return view->device && (strcmp(view->device, wanted) == 0 ||
				(filter->device_id && view->device_id == filter->device_id));
}

bool filter_takes(const struct filter *filter, const struct filter_view *view)
{
	const Fbk__Wire__Filter *wanted = filter->wanted;
	if (!wanted) {
		return true;
	}
	return (!wanted->has_uid || wanted->uid == view->uid) &&
	       (!wanted->client || wanted->client == view->client) &&
	       filter_takes_device(filter, view);
}

bool filter_takes_name(const struct filter *filter, const char *name)
{
	return !filter->wanted || !filter->wanted->name[0] ||
	       pattern_matches(filter->wanted->name, name);
}
