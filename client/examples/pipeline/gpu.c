// SPDX-License-Identifier: MIT
#include "gpu.h"

#include <errno.h>
#include <string.h>

int gpu_open(struct gpu *gpu, const char *const *extensions, unsigned int skip)
{
	const struct fbk_vk_choice choice = {
		.struct_size = sizeof(choice),
		.queue = VK_QUEUE_GRAPHICS_BIT | VK_QUEUE_COMPUTE_BIT,
		.extensions = extensions,
		.skip = skip,
	};
	int r = fbk_vk_open(&choice, &gpu->vk);
	if (r < 0) {
		return r;
	}
	const struct fbk_vk_handles *handles = fbk_vk_handles(gpu->vk);
	PFN_vkGetDeviceProcAddr get = (PFN_vkGetDeviceProcAddr)(void *)handles->get(
		handles->instance, "vkGetDeviceProcAddr");
	gpu->device = handles->device;
	gpu->physical = handles->physical;
	gpu->queue = fbk_vk_queue(gpu->vk, &gpu->family);
	/* Vulkan 1.0 functions: every driver has them */
#define X(name) gpu->name = (PFN_##name)(void *)get(gpu->device, #name);
	GPU_DEVICE_PROCS(X)
#undef X
#define X(name) gpu->name = (PFN_##name)(void *)handles->get(handles->instance, #name);
	GPU_INSTANCE_PROCS(X)
#undef X
	return 0;
}

void gpu_close(struct gpu *gpu)
{
	fbk_vk_destroy(gpu->vk);
}

int gpu_memory(struct gpu *gpu, const VkMemoryRequirements *needed, VkMemoryPropertyFlags wanted,
	       VkDeviceMemory *ret_memory)
{
	VkPhysicalDeviceMemoryProperties properties;
	VkMemoryAllocateInfo info = {
		.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
		.allocationSize = needed->size,
	};
	gpu->vkGetPhysicalDeviceMemoryProperties(gpu->physical, &properties);
	for (; info.memoryTypeIndex < properties.memoryTypeCount; info.memoryTypeIndex++) {
		VkMemoryPropertyFlags has =
			properties.memoryTypes[info.memoryTypeIndex].propertyFlags;
		if (needed->memoryTypeBits & (1U << info.memoryTypeIndex) &&
		    (has & wanted) == wanted) {
			return GPU_CALL(gpu, vkAllocateMemory, &info, NULL, ret_memory);
		}
	}
	return fbk_vk_check(gpu->vk, VK_ERROR_OUT_OF_DEVICE_MEMORY, "finding a type of memory");
}

int gpu_buffer_create(struct gpu *gpu, const void *data, size_t size, VkBufferUsageFlags usage,
		      struct gpu_buffer *ret_buffer)
{
	const VkBufferCreateInfo info = {
		.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
		.size = size,
		.usage = usage,
	};
	VkMemoryRequirements needed;
	void *mapped;
	int r = GPU_CALL(gpu, vkCreateBuffer, &info, NULL, &ret_buffer->buffer);
	if (r < 0) {
		return r;
	}
	gpu->vkGetBufferMemoryRequirements(gpu->device, ret_buffer->buffer, &needed);
	r = gpu_memory(gpu, &needed,
		       VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT,
		       &ret_buffer->memory);
	if (r == 0) {
		r = GPU_CALL(gpu, vkBindBufferMemory, ret_buffer->buffer, ret_buffer->memory, 0);
	}
	if (r == 0) {
		r = GPU_CALL(gpu, vkMapMemory, ret_buffer->memory, 0, size, 0, &mapped);
	}
	if (r == 0) {
		memcpy(mapped, data, size);
	}
	return r;
}

void gpu_buffer_destroy(struct gpu *gpu, struct gpu_buffer *buffer)
{
	gpu->vkDestroyBuffer(gpu->device, buffer->buffer, NULL);
	gpu->vkFreeMemory(gpu->device, buffer->memory, NULL);
}

int gpu_image_create(struct gpu *gpu, const struct gpu_image_desc *desc,
		     struct gpu_image *ret_image)
{
	const VkImageCreateInfo info = {
		.sType = VK_STRUCTURE_TYPE_IMAGE_CREATE_INFO,
		.imageType = VK_IMAGE_TYPE_2D,
		.format = desc->format,
		.extent = { desc->width, desc->height, 1 },
		.mipLevels = 1,
		.arrayLayers = 1,
		.samples = desc->samples,
		.tiling = VK_IMAGE_TILING_OPTIMAL,
		.usage = desc->usage,
	};
	VkImageViewCreateInfo view = {
		.sType = VK_STRUCTURE_TYPE_IMAGE_VIEW_CREATE_INFO,
		.viewType = VK_IMAGE_VIEW_TYPE_2D,
		.format = desc->format,
		.subresourceRange = { .aspectMask = desc->aspect,
				      .levelCount = 1,
				      .layerCount = 1 },
	};
	VkMemoryRequirements needed;
	int r = GPU_CALL(gpu, vkCreateImage, &info, NULL, &ret_image->image);
	if (r < 0) {
		return r;
	}
	gpu->vkGetImageMemoryRequirements(gpu->device, ret_image->image, &needed);
	r = gpu_memory(gpu, &needed, VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT, &ret_image->memory);
	if (r == 0) {
		r = GPU_CALL(gpu, vkBindImageMemory, ret_image->image, ret_image->memory, 0);
	}
	view.image = ret_image->image;
	return r < 0 ? r : GPU_CALL(gpu, vkCreateImageView, &view, NULL, &ret_image->view);
}

void gpu_image_destroy(struct gpu *gpu, struct gpu_image *image)
{
	gpu->vkDestroyImageView(gpu->device, image->view, NULL);
	gpu->vkDestroyImage(gpu->device, image->image, NULL);
	gpu->vkFreeMemory(gpu->device, image->memory, NULL);
}

int gpu_shader_create(struct gpu *gpu, const uint32_t *words, size_t size,
		      VkShaderModule *ret_shader)
{
	const VkShaderModuleCreateInfo info = {
		.sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO,
		.codeSize = size,
		.pCode = words,
	};
	return GPU_CALL(gpu, vkCreateShaderModule, &info, NULL, ret_shader);
}
