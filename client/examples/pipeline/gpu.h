// SPDX-License-Identifier: MIT
/*
 * The Vulkan device that draws, and the helpers that all parts of the drawing share. A failure leaves a
 * sentence in fbk_vk_error_detail(). One thread.
 */
#pragma once

#include <fence-vulkan.h>

#define GPU_DEVICE_PROCS(X)              \
	X(vkAllocateCommandBuffers)      \
	X(vkAllocateDescriptorSets)      \
	X(vkAllocateMemory)              \
	X(vkBeginCommandBuffer)          \
	X(vkBindBufferMemory)            \
	X(vkBindImageMemory)             \
	X(vkCmdBeginRenderPass)          \
	X(vkCmdBindDescriptorSets)       \
	X(vkCmdBindIndexBuffer)          \
	X(vkCmdBindPipeline)             \
	X(vkCmdBindVertexBuffers)        \
	X(vkCmdCopyQueryPoolResults)     \
	X(vkCmdDispatch)                 \
	X(vkCmdDraw)                     \
	X(vkCmdDrawIndexed)              \
	X(vkCmdEndRenderPass)            \
	X(vkCmdFillBuffer)               \
	X(vkCmdPipelineBarrier)          \
	X(vkCmdPushConstants)            \
	X(vkCmdResetQueryPool)           \
	X(vkCmdWriteTimestamp)           \
	X(vkCreateBuffer)                \
	X(vkCreateCommandPool)           \
	X(vkCreateComputePipelines)      \
	X(vkCreateDescriptorPool)        \
	X(vkCreateDescriptorSetLayout)   \
	X(vkCreateFence)                 \
	X(vkCreateFramebuffer)           \
	X(vkCreateGraphicsPipelines)     \
	X(vkCreateImage)                 \
	X(vkCreateImageView)             \
	X(vkCreatePipelineLayout)        \
	X(vkCreateQueryPool)             \
	X(vkCreateRenderPass)            \
	X(vkCreateShaderModule)          \
	X(vkDestroyBuffer)               \
	X(vkDestroyCommandPool)          \
	X(vkDestroyDescriptorPool)       \
	X(vkDestroyDescriptorSetLayout)  \
	X(vkDestroyFence)                \
	X(vkDestroyFramebuffer)          \
	X(vkDestroyImage)                \
	X(vkDestroyImageView)            \
	X(vkDestroyPipeline)             \
	X(vkDestroyPipelineLayout)       \
	X(vkDestroyQueryPool)            \
	X(vkDestroyRenderPass)           \
	X(vkDestroyShaderModule)         \
	X(vkDeviceWaitIdle)              \
	X(vkEndCommandBuffer)            \
	X(vkFreeMemory)                  \
	X(vkGetBufferMemoryRequirements) \
	X(vkGetImageMemoryRequirements)  \
	X(vkMapMemory)                   \
	X(vkQueueSubmit)                 \
	X(vkResetCommandPool)            \
	X(vkResetFences)                 \
	X(vkUpdateDescriptorSets)        \
	X(vkWaitForFences)

#define GPU_INSTANCE_PROCS(X)                  \
	X(vkGetPhysicalDeviceFormatProperties) \
	X(vkGetPhysicalDeviceMemoryProperties) \
	X(vkGetPhysicalDeviceProperties)       \
	X(vkGetPhysicalDeviceQueueFamilyProperties)

struct gpu {
	struct fbk_vk *vk;
	VkDevice device;
	VkPhysicalDevice physical;
	VkQueue queue;
	uint32_t family;
#define X(name) PFN_##name name;
	GPU_DEVICE_PROCS(X)
	GPU_INSTANCE_PROCS(X)
#undef X
};

/* A device that can draw, GPUs before software; skips the first `skip`. Errors of fbk_vk_open(). */
int gpu_open(struct gpu *gpu, const char *const *extensions, unsigned int skip);
void gpu_close(struct gpu *gpu); /* takes a zeroed one */

/* Call a function whose first argument is the device: 0 or a negative errno. */
#define GPU_CALL(gpu, name, ...) \
	fbk_vk_check((gpu)->vk, (gpu)->name((gpu)->device, __VA_ARGS__), #name)

/* Memory with these properties for the requirements. */
int gpu_memory(struct gpu *gpu, const VkMemoryRequirements *needed, VkMemoryPropertyFlags wanted,
	       VkDeviceMemory *ret_memory);

/* A buffer that holds a copy of `data`. */
struct gpu_buffer {
	VkBuffer buffer;
	VkDeviceMemory memory;
};
int gpu_buffer_create(struct gpu *gpu, const void *data, size_t size, VkBufferUsageFlags usage,
		      struct gpu_buffer *ret_buffer);
void gpu_buffer_destroy(struct gpu *gpu, struct gpu_buffer *buffer);

/* An image of the size of the pictures, and its view. */
struct gpu_image {
	VkImage image;
	VkDeviceMemory memory;
	VkImageView view;
};
struct gpu_image_desc {
	uint32_t width, height;
	VkFormat format;
	VkImageUsageFlags usage;
	VkSampleCountFlagBits samples;
	VkImageAspectFlags aspect;
};
int gpu_image_create(struct gpu *gpu, const struct gpu_image_desc *desc,
		     struct gpu_image *ret_image);
void gpu_image_destroy(struct gpu *gpu, struct gpu_image *image);

/* `words` of SPIR-V. */
int gpu_shader_create(struct gpu *gpu, const uint32_t *words, size_t size,
		      VkShaderModule *ret_shader);
