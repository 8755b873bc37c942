// SPDX-License-Identifier: MIT
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "vulkan.h"

int instance_procs_load(const struct fbk_vk_handles *handles, struct instance_procs *ret_procs)
{
	struct instance_procs procs;
#define X(name)                                                                                   \
	procs.name = (PFN_##name)(void *)handles->get(handles->instance, #name);                  \
	if (!procs.name) {                                                                        \
		return vk_error_set(-EOPNOTSUPP, "Vulkan 1.1 is needed: " #name "() is missing"); \
	}
	INSTANCE_PROCS(X)
#undef X
	*ret_procs = procs;
	return 0;
}

/* By its name in core Vulkan, or by its older extension name. */
static PFN_vkVoidFunction proc_find(const struct fbk_vk_handles *handles,
				    const struct instance_procs *instance, const char *name)
{
	char extended[64];
	PFN_vkVoidFunction proc = instance->vkGetDeviceProcAddr(handles->device, name);
	if (!proc) {
		snprintf(extended, sizeof(extended), "%sKHR", name);
		proc = instance->vkGetDeviceProcAddr(handles->device, extended);
	}
	return proc;
}

int device_procs_load(const struct fbk_vk_handles *handles, const struct instance_procs *instance,
		      struct device_procs *ret_procs)
{
	struct device_procs procs;
	memset(&procs, 0, sizeof(procs));
#define X(name)                                                                   \
	procs.name = (PFN_##name)(void *)proc_find(handles, instance, #name);     \
	if (!procs.name) {                                                        \
		return vk_error_set(-EOPNOTSUPP, "the driver lacks " #name "()"); \
	}
	DEVICE_PROCS(X)
#undef X
#define X(name, ability)                                                                \
	if (handles->abilities & (ability)) {                                           \
		procs.name = (PFN_##name)(void *)proc_find(handles, instance, #name);   \
		if (!procs.name) {                                                      \
			return vk_error_set(-EOPNOTSUPP,                                \
					    #name "() is missing: the device was made " \
						  "without %s",                         \
					    ability_needs(ability));                    \
		}                                                                       \
	}
	ABILITY_PROCS(X)
#undef X
	*ret_procs = procs;
	return 0;
}
