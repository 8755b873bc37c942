// SPDX-License-Identifier: MIT
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vulkan.h"

#define PAGE_ALIGN_MIN 4096
#define PAGE_ALIGN_MAX (2 << 20)

static void properties_read(struct fbk_vk *vk)
{
	VkPhysicalDeviceExternalMemoryHostPropertiesEXT host = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_EXTERNAL_MEMORY_HOST_PROPERTIES_EXT,
		.minImportedHostPointerAlignment = PAGE_ALIGN_MIN,
	};
	VkPhysicalDeviceTimelineSemaphoreProperties timelines = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_TIMELINE_SEMAPHORE_PROPERTIES,
	};
	VkPhysicalDeviceProperties2 properties = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2,
	};
	if (vk->handles.abilities & FBK_VK_ABILITY_HOST_POINTER) {
		host.pNext = properties.pNext;
		properties.pNext = &host;
	}
	if (vk->handles.abilities & FBK_VK_ABILITY_TIMELINES) {
		timelines.pNext = properties.pNext;
		properties.pNext = &timelines;
	}
	vk->instance.vkGetPhysicalDeviceProperties2(vk->handles.physical, &properties);
	snprintf(vk->name, sizeof(vk->name), "%s", properties.properties.deviceName);
	vk->software = properties.properties.deviceType == VK_PHYSICAL_DEVICE_TYPE_CPU;
	vk->host_alignment = host.minImportedHostPointerAlignment;
	vk->difference_max = timelines.maxTimelineSemaphoreValueDifference;
}

/* All families share imported memory, so that any of them may signal. */
static void families_read(struct fbk_vk *vk)
{
	VkQueueFamilyProperties properties[FAMILIES_MAX];
	vk->family_count = FAMILIES_MAX;
	vk->instance.vkGetPhysicalDeviceQueueFamilyProperties(vk->handles.physical,
							      &vk->family_count, properties);
	for (uint32_t i = 0; i < vk->family_count; i++) {
		vk->families[i] = i;
	}
}

static int device_start(struct fbk_vk *vk)
{
	int r = instance_procs_load(&vk->handles, &vk->instance);
	if (r == 0) {
		properties_read(vk);
		families_read(vk);
		r = device_procs_load(&vk->handles, &vk->instance, &vk->procs);
	}
	if (r == 0 &&
	    !(vk->handles.abilities & (FBK_VK_ABILITY_HOST_POINTER | FBK_VK_ABILITY_DMA_BUF))) {
		r = vk_error_set(-EOPNOTSUPP, "%s has no way to import memory: neither %s nor %s",
				 vk->name, ability_needs(FBK_VK_ABILITY_HOST_POINTER),
				 ability_needs(FBK_VK_ABILITY_DMA_BUF));
	}
	if (r == 0 && vk->handles.abilities & FBK_VK_ABILITY_STORE64) {
		r = store_create(vk);
	}
	return r;
}

int fbk_vk_create(const struct fbk_vk_handles *handles, struct fbk_vk **ret_vk)
{
	struct fbk_vk *vk = calloc(1, sizeof(*vk));
	if (!vk) {
		return vk_error_set(-ENOMEM, "out of memory");
	}
	LIST_INIT(&vk->pages);
	LIST_INIT(&vk->signals);
	int r = vk_struct_read(&vk->handles, sizeof(vk->handles), VK_FIRST_HANDLES, handles);
	if (r < 0) {
		free(vk);
		return r;
	}
	vk->handles.struct_size = sizeof(vk->handles);
	pthread_mutex_init(&vk->pages_lock, NULL);
	pthread_mutex_init(&vk->signals_lock, NULL);
	r = device_start(vk);
	if (r < 0) {
		fbk_vk_destroy(vk);
		return r;
	}
	*ret_vk = vk;
	return 0;
}

const struct fbk_vk_handles *fbk_vk_handles(const struct fbk_vk *vk)
{
	return &vk->handles;
}

VkQueue fbk_vk_queue(const struct fbk_vk *vk, uint32_t *ret_family)
{
	*ret_family = vk->queue_family;
	return vk->queue;
}

bool fbk_vk_has_extension(const struct fbk_vk *vk, const char *name)
{
	return device_offers(&vk->instance, vk->handles.physical, name);
}

const char *fbk_vk_name(const struct fbk_vk *vk)
{
	return vk->name;
}

bool fbk_vk_software(const struct fbk_vk *vk)
{
	return vk->software;
}

int fbk_vk_describe(const struct fbk_vk *vk, const char *name, struct fbk_device_desc *ret_desc)
{
	if (vk->host_alignment > PAGE_ALIGN_MAX) {
		return vk_error_set(-ERANGE,
				    "%s imports host memory in multiples of %llu bytes, more than "
				    "the largest alignment of a page of timelines, %d",
				    vk->name, (unsigned long long)vk->host_alignment,
				    PAGE_ALIGN_MAX);
	}
	const struct fbk_device_desc desc = {
		.name = name,
		.device_class = FBK_CLASS_GPU,
		.waits = FBK_FENCE_MEMORY64,
		.signals = FBK_FENCE_MEMORY64,
		.silent = true,
		.visibility = FBK_VISIBILITY_ORDERED,
		.backings =
			(vk->handles.abilities & FBK_VK_ABILITY_HOST_POINTER ? FBK_BACKING_HOST
									     : 0U) |
			(vk->handles.abilities & FBK_VK_ABILITY_DMA_BUF ? FBK_BACKING_DMABUF : 0U),
		.page_align = vk->host_alignment > PAGE_ALIGN_MIN ? (uint32_t)vk->host_alignment
								  : PAGE_ALIGN_MIN,
	};
	return vk_struct_fill(ret_desc, &desc, sizeof(desc), VK_FIRST_DEVICE_DESC);
}
