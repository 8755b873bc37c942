// SPDX-License-Identifier: MIT
#include "registry.h"

uint64_t registry_new_id(struct registry *registry)
{
	return ++registry->next_id;
}

uint64_t registry_free_fds(const struct registry *registry)
{
	uint64_t used = account_total(registry->account, ACCOUNT_FDS) +
			closer_pending(&registry->closer) + registry->base_fds;
	return used < registry->fd_limit ? registry->fd_limit - used : 0;
}

#define OBSERVE(registry, member, ...)                                                \
	for (const struct observer *const *o = (registry)->observers; o && *o; o++) { \
		if ((*o)->member) {                                                   \
			(*o)->member(__VA_ARGS__);                                    \
		}                                                                     \
	}

void registry_client_ended(struct registry *registry, struct client *client, enum fbk_cause cause)
{
	OBSERVE(registry, client_ended, client, cause);
}

void registry_handle_closed(struct registry *registry, struct handle *handle, enum fbk_cause cause)
{
	OBSERVE(registry, handle_closed, handle, cause);
}

void registry_device_registered(struct registry *registry, struct device *device)
{
	OBSERVE(registry, device_registered, device);
}

void registry_device_unregistered(struct registry *registry, struct device *device)
{
	OBSERVE(registry, device_unregistered, device);
}

void registry_timeline_failed(struct registry *registry, struct timeline *timeline)
{
	OBSERVE(registry, timeline_failed, timeline);
}
