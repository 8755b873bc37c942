// SPDX-License-Identifier: MIT
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vulkan.h"

static const struct {
	uint32_t ability;
	uint32_t core; /* Vulkan version that includes it without the extension; 0: none */
	const char *extension;
} extensions[] = {
	{ FBK_VK_ABILITY_HOST_POINTER, 0, "VK_EXT_external_memory_host" },
	{ FBK_VK_ABILITY_DMA_BUF, 0, "VK_EXT_external_memory_dma_buf" },
	{ FBK_VK_ABILITY_DMA_BUF, 0, "VK_KHR_external_memory_fd" },
	{ FBK_VK_ABILITY_STORE64, VK_API_VERSION_1_2, "VK_KHR_shader_atomic_int64" },
	{ FBK_VK_ABILITY_TIMELINES, VK_API_VERSION_1_2, "VK_KHR_timeline_semaphore" },
	{ FBK_VK_ABILITY_SEMAPHORE_FDS, 0, "VK_KHR_external_semaphore_fd" },
	{ FBK_VK_ABILITY_MARKERS, 0, "VK_AMD_buffer_marker" },
};
#define EXTENSIONS (sizeof(extensions) / sizeof(extensions[0]))
_Static_assert(EXTENSIONS <= FBK_VK_EXTENSIONS, "the caller has room for all");

bool device_offers(const struct instance_procs *procs, VkPhysicalDevice physical,
		   const char *extension)
{
	uint32_t count = 0;
	bool found = false;
	procs->vkEnumerateDeviceExtensionProperties(physical, NULL, &count, NULL);
	VkExtensionProperties *offered = calloc(count, sizeof(*offered));
	if (!offered) {
		return false;
	}
	procs->vkEnumerateDeviceExtensionProperties(physical, NULL, &count, offered);
	for (uint32_t i = 0; i < count && !found; i++) {
		found = strcmp(offered[i].extensionName, extension) == 0;
	}
	free(offered);
	return found;
}

const char *ability_needs(uint32_t ability)
{
	for (size_t i = 0; i < EXTENSIONS; i++) {
		if (extensions[i].ability == ability) {
			return extensions[i].extension;
		}
	}
	return "";
}

static uint32_t device_version(const struct instance_procs *procs, VkPhysicalDevice physical)
{
	VkPhysicalDeviceProperties2 properties = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2,
	};
	procs->vkGetPhysicalDeviceProperties2(physical, &properties);
	return properties.properties.apiVersion;
}

/* The abilities whose extensions the device has. */
static uint32_t abilities_offered(const struct instance_procs *procs, VkPhysicalDevice physical)
{
	uint32_t version = device_version(procs, physical);
	uint32_t abilities = UINT32_MAX;
	for (size_t i = 0; i < EXTENSIONS; i++) {
		bool core = extensions[i].core != 0 && version >= extensions[i].core;
		if (!core && !device_offers(procs, physical, extensions[i].extension)) {
			abilities &= ~extensions[i].ability;
		}
	}
	return abilities;
}

uint32_t fbk_vk_abilities(const struct fbk_vk_handles *given)
{
	struct fbk_vk_handles handles;
	VkPhysicalDeviceShaderAtomicInt64Features atomics = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_ATOMIC_INT64_FEATURES,
	};
	VkPhysicalDeviceTimelineSemaphoreFeatures timelines = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_TIMELINE_SEMAPHORE_FEATURES,
	};
	VkPhysicalDeviceFeatures2 features = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2,
	};
	struct instance_procs procs;
	if (vk_struct_read(&handles, sizeof(handles), VK_FIRST_HANDLES, given) < 0 ||
	    instance_procs_load(&handles, &procs) < 0) {
		return 0;
	}
	uint32_t abilities = abilities_offered(&procs, handles.physical);
	if (abilities & FBK_VK_ABILITY_STORE64) {
		atomics.pNext = features.pNext;
		features.pNext = &atomics;
	}
	if (abilities & FBK_VK_ABILITY_TIMELINES) {
		timelines.pNext = features.pNext;
		features.pNext = &timelines;
	}
	procs.vkGetPhysicalDeviceFeatures2(handles.physical, &features);
	if (!features.features.shaderInt64 || !atomics.shaderBufferInt64Atomics) {
		abilities &= ~(uint32_t)FBK_VK_ABILITY_STORE64;
	}
	if (!timelines.timelineSemaphore) {
		abilities &= ~(uint32_t)FBK_VK_ABILITY_TIMELINES;
	}
	return abilities &
	       (FBK_VK_ABILITY_HOST_POINTER | FBK_VK_ABILITY_DMA_BUF | FBK_VK_ABILITY_STORE64 |
		FBK_VK_ABILITY_TIMELINES | FBK_VK_ABILITY_SEMAPHORE_FDS | FBK_VK_ABILITY_MARKERS);
}

size_t fbk_vk_extensions(const struct fbk_vk_handles *given,
			 const char *ret_names[FBK_VK_EXTENSIONS])
{
	struct fbk_vk_handles handles;
	struct instance_procs procs;
	size_t count = 0;
	if (vk_struct_read(&handles, sizeof(handles), VK_FIRST_HANDLES, given) < 0 ||
	    instance_procs_load(&handles, &procs) < 0) {
		return 0;
	}
	for (size_t i = 0; i < EXTENSIONS; i++) {
		if (handles.abilities & extensions[i].ability &&
		    device_offers(&procs, handles.physical, extensions[i].extension)) {
			ret_names[count++] = extensions[i].extension;
		}
	}
	return count;
}
