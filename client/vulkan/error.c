// SPDX-License-Identifier: MIT
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "vulkan.h"

static _Thread_local char detail[4 * FBK_REASON_SIZE];

int vk_error_set(int error, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(detail, sizeof(detail), format, args);
	va_end(args);
	return error;
}

int vk_error_core(int error)
{
	return vk_error_set(error, "%s", fbk_error_detail());
}

const char *fbk_vk_error_detail(void)
{
	return detail;
}

#define R(result, error)                    \
	{                                   \
		VK_##result, #result, error \
	}
static const struct {
	VkResult result;
	const char *name;
	int error;
} results[] = {
	R(NOT_READY, -EAGAIN),
	R(TIMEOUT, -ETIMEDOUT),
	R(ERROR_OUT_OF_HOST_MEMORY, -ENOMEM),
	R(ERROR_OUT_OF_DEVICE_MEMORY, -ENOMEM),
	R(ERROR_OUT_OF_POOL_MEMORY, -ENOMEM),
	R(ERROR_TOO_MANY_OBJECTS, -EMFILE),
	R(ERROR_INITIALIZATION_FAILED, -EIO),
	R(ERROR_DEVICE_LOST, -EIO),
	R(ERROR_MEMORY_MAP_FAILED, -EIO),
	R(ERROR_LAYER_NOT_PRESENT, -ENOENT),
	R(ERROR_INCOMPATIBLE_DRIVER, -ENOENT),
	R(ERROR_EXTENSION_NOT_PRESENT, -EOPNOTSUPP),
	R(ERROR_FEATURE_NOT_PRESENT, -EOPNOTSUPP),
	R(ERROR_FORMAT_NOT_SUPPORTED, -EOPNOTSUPP),
	R(ERROR_INVALID_EXTERNAL_HANDLE, -EOPNOTSUPP),
};

int vk_error_result(VkResult result, const char *what)
{
	for (size_t i = 0; i < sizeof(results) / sizeof(results[0]); i++) {
		if (results[i].result == result) {
			return vk_error_set(results[i].error, "%s: VK_%s", what, results[i].name);
		}
	}
	return vk_error_set(-EIO, "%s: VkResult %d", what, result);
}

/* Nothing else ends the waits: to the daemon this process is alive, and its memory is unchanged. */
static void device_lost(struct fbk_vk *vk)
{
	struct fbk_vk_signal *signal;
	char reason[FBK_REASON_SIZE];
	snprintf(reason, sizeof(reason), "the Vulkan device %.80s was lost: it hung, or was reset",
		 vk->name);
	pthread_mutex_lock(&vk->signals_lock);
	if (!vk->lost) {
		vk->lost = true;
		LIST_FOREACH(signal, &vk->signals, links) {
			fbk_timeline_fail(signal->timeline, -EIO, reason);
		}
	}
	pthread_mutex_unlock(&vk->signals_lock);
}

int fbk_vk_check(struct fbk_vk *vk, VkResult result, const char *what)
{
	if (result == VK_SUCCESS) {
		return 0;
	}
	if (result == VK_ERROR_DEVICE_LOST) {
		device_lost(vk);
	}
	return vk_error_result(result, what);
}
