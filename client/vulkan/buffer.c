// SPDX-License-Identifier: MIT
/* Existing memory as a buffer: tries each import that the driver may accept, in turn. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "vulkan.h"

/* Memory of these types needs features that were not requested, or is not shared. */
#define UNFIT                                                                         \
	(VK_MEMORY_PROPERTY_LAZILY_ALLOCATED_BIT | VK_MEMORY_PROPERTY_PROTECTED_BIT | \
	 VK_MEMORY_PROPERTY_DEVICE_COHERENT_BIT_AMD)
#define COHERENT (VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT)

/* A type in `bits`, coherent if possible.  -EOPNOTSUPP  none, or none that is coherent as required */
static int memory_type(const struct fbk_vk *vk, uint32_t bits, bool coherent, uint32_t *ret_type)
{
	VkPhysicalDeviceMemoryProperties properties;
	vk->instance.vkGetPhysicalDeviceMemoryProperties(vk->handles.physical, &properties);
	uint32_t found = UINT32_MAX;
	for (uint32_t i = properties.memoryTypeCount; i-- > 0;) {
		VkMemoryPropertyFlags flags = properties.memoryTypes[i].propertyFlags;
		if (!(bits & (1U << i)) || flags & UNFIT) {
			continue;
		}
		if ((flags & COHERENT) == COHERENT) {
			*ret_type = i;
			return 0;
		}
		found = coherent ? found : i;
	}
	if (found == UINT32_MAX) {
		return vk_error_set(-EOPNOTSUPP, "no type of memory fits");
	}
	*ret_type = found;
	return 0;
}

/* The memory to import, and how. */
struct source {
	const struct fbk_vk_memory *memory;
	VkExternalMemoryHandleTypeFlagBits type;
	const void *import;  /* the structure that names the memory */
	uint32_t bits;       /* memory types that it allows */
	bool coherent;       /* the type must be coherent */
	bool dedicated_only; /* the driver requires it */
};

static int buffer_create(struct fbk_vk *vk, struct source *source, VkBuffer *ret_buffer)
{
	const struct fbk_vk_memory *memory = source->memory;
	VkPhysicalDeviceExternalBufferInfo question = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_EXTERNAL_BUFFER_INFO,
		.usage = memory->usage,
		.handleType = source->type,
	};
	VkExternalBufferProperties answer = {
		.sType = VK_STRUCTURE_TYPE_EXTERNAL_BUFFER_PROPERTIES,
	};
	VkExternalMemoryBufferCreateInfo external = {
		.sType = VK_STRUCTURE_TYPE_EXTERNAL_MEMORY_BUFFER_CREATE_INFO,
		.handleTypes = source->type,
	};
	VkBufferCreateInfo info = {
		.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO,
		.pNext = &external,
		.size = memory->size,
		.usage = memory->usage,
		.sharingMode = vk->family_count > 1 ? VK_SHARING_MODE_CONCURRENT
						    : VK_SHARING_MODE_EXCLUSIVE,
		.queueFamilyIndexCount = vk->family_count,
		.pQueueFamilyIndices = vk->families,
	};
	vk->instance.vkGetPhysicalDeviceExternalBufferProperties(vk->handles.physical, &question,
								 &answer);
	VkExternalMemoryFeatureFlags can = answer.externalMemoryProperties.externalMemoryFeatures;
	if (!(can & VK_EXTERNAL_MEMORY_FEATURE_IMPORTABLE_BIT)) {
		return vk_error_set(-EOPNOTSUPP, "the driver does not import it for this usage");
	}
	source->dedicated_only = can & VK_EXTERNAL_MEMORY_FEATURE_DEDICATED_ONLY_BIT;
	return fbk_vk_check(vk,
			    vk->procs.vkCreateBuffer(vk->handles.device, &info, NULL, ret_buffer),
			    "vkCreateBuffer");
}

static int buffer_back(struct fbk_vk *vk, const struct source *source, struct fbk_vk_buffer *buffer)
{
	VkMemoryRequirements needed;
	VkMemoryDedicatedAllocateInfo dedicated = {
		.sType = VK_STRUCTURE_TYPE_MEMORY_DEDICATED_ALLOCATE_INFO,
		.pNext = source->import,
		.buffer = buffer->buffer,
	};
	VkMemoryAllocateInfo info = {
		.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO,
		.pNext = source->import,
		.allocationSize = source->memory->size,
	};
	vk->procs.vkGetBufferMemoryRequirements(vk->handles.device, buffer->buffer, &needed);
	if (needed.size > source->memory->size) {
		return vk_error_set(-EOPNOTSUPP, "the driver wants %llu bytes for a buffer of %zu",
				    (unsigned long long)needed.size, source->memory->size);
	}
	if (source->dedicated_only) {
		info.pNext = &dedicated;
		info.allocationSize = needed.size;
	}
	int r = memory_type(vk, source->bits & needed.memoryTypeBits, source->coherent,
			    &info.memoryTypeIndex);
	if (r == 0) {
		r = fbk_vk_check(vk,
				 vk->procs.vkAllocateMemory(vk->handles.device, &info, NULL,
							    &buffer->memory),
				 "vkAllocateMemory");
	}
	return r;
}

static int import_dmabuf(struct fbk_vk *vk, const struct fbk_vk_memory *memory,
			 struct fbk_vk_buffer *buffer)
{
	VkImportMemoryFdInfoKHR import = {
		.sType = VK_STRUCTURE_TYPE_IMPORT_MEMORY_FD_INFO_KHR,
		.handleType = VK_EXTERNAL_MEMORY_HANDLE_TYPE_DMA_BUF_BIT_EXT,
	};
	struct source source = { .memory = memory, .type = import.handleType, .import = &import };
	VkMemoryFdPropertiesKHR properties = {
		.sType = VK_STRUCTURE_TYPE_MEMORY_FD_PROPERTIES_KHR,
	};
	if (memory->dmabuf_fd < 0) {
		return vk_error_set(-EOPNOTSUPP, "this memory has no dma-buf");
	}
	int r = buffer_create(vk, &source, &buffer->buffer);
	if (r == 0) {
		r = fbk_vk_check(
			vk,
			vk->procs.vkGetMemoryFdPropertiesKHR(vk->handles.device, import.handleType,
							     memory->dmabuf_fd, &properties),
			"vkGetMemoryFdPropertiesKHR");
	}
	if (r < 0) {
		return r;
	}
	import.fd = fcntl(memory->dmabuf_fd, F_DUPFD_CLOEXEC, 0);
	if (import.fd < 0) {
		return vk_error_set(-errno, "%s", strerror(errno));
	}
	source.bits = properties.memoryTypeBits;
	r = buffer_back(vk, &source, buffer);
	if (r < 0) {
		close(import.fd); /* the driver owns the fd only after success */
	}
	return r;
}

static int import_pointer(struct fbk_vk *vk, const struct fbk_vk_memory *memory,
			  struct fbk_vk_buffer *buffer)
{
	const VkImportMemoryHostPointerInfoEXT import = {
		.sType = VK_STRUCTURE_TYPE_IMPORT_MEMORY_HOST_POINTER_INFO_EXT,
		.handleType = VK_EXTERNAL_MEMORY_HANDLE_TYPE_HOST_ALLOCATION_BIT_EXT,
		.pHostPointer = memory->address,
	};
	struct source source = {
		.memory = memory, .type = import.handleType, .import = &import, .coherent = true
	};
	VkMemoryHostPointerPropertiesEXT properties = {
		.sType = VK_STRUCTURE_TYPE_MEMORY_HOST_POINTER_PROPERTIES_EXT,
	};
	unsigned long long unit = vk->host_alignment;
	if (!memory->address) {
		return vk_error_set(-EOPNOTSUPP, "it is not mapped in this process");
	}
	if ((uintptr_t)memory->address % unit != 0 || memory->size % unit != 0) {
		return vk_error_set(-EINVAL,
				    "the driver takes multiples of %llu bytes, these are %zu bytes "
				    "at %p (for timelines: page_align of the device)",
				    unit, memory->size, memory->address);
	}
	int r = buffer_create(vk, &source, &buffer->buffer);
	if (r == 0) {
		r = fbk_vk_check(vk,
				 vk->procs.vkGetMemoryHostPointerPropertiesEXT(
					 vk->handles.device, import.handleType, memory->address,
					 &properties),
				 "vkGetMemoryHostPointerPropertiesEXT");
	}
	source.bits = properties.memoryTypeBits;
	return r < 0 ? r : buffer_back(vk, &source, buffer);
}

void fbk_vk_buffer_release(struct fbk_vk *vk, struct fbk_vk_buffer *buffer)
{
	vk->procs.vkDestroyBuffer(vk->handles.device, buffer->buffer, NULL);
	vk->procs.vkFreeMemory(vk->handles.device, buffer->memory, NULL);
	*buffer = (struct fbk_vk_buffer){ 0 };
}

/* Dma-bufs first: drivers that import both may refuse pointers to file-backed memory. */
static const struct import_way {
	uint32_t ability;
	const char *name;
	int (*import)(struct fbk_vk *vk, const struct fbk_vk_memory *memory,
		      struct fbk_vk_buffer *buffer);
} import_ways[] = {
	{ FBK_VK_ABILITY_DMA_BUF, "as a dma-buf", import_dmabuf },
	{ FBK_VK_ABILITY_HOST_POINTER, "by pointer", import_pointer },
};
#define IMPORT_WAYS (sizeof(import_ways) / sizeof(import_ways[0]))

static int import_by(struct fbk_vk *vk, const struct import_way *way,
		     const struct fbk_vk_memory *memory, struct fbk_vk_buffer *ret_buffer)
{
	struct fbk_vk_buffer buffer = { 0 };
	if (!(vk->handles.abilities & way->ability)) {
		return vk_error_set(-EOPNOTSUPP, "the device was made without %s",
				    ability_needs(way->ability));
	}
	int r = way->import(vk, memory, &buffer);
	if (r == 0) {
		r = fbk_vk_check(vk,
				 vk->procs.vkBindBufferMemory(vk->handles.device, buffer.buffer,
							      buffer.memory, 0),
				 "vkBindBufferMemory");
	}
	if (r < 0) {
		fbk_vk_buffer_release(vk, &buffer);
		return r;
	}
	*ret_buffer = buffer;
	return 0;
}

int fbk_vk_buffer_import(struct fbk_vk *vk, const struct fbk_vk_memory *memory,
			 struct fbk_vk_buffer *ret_buffer)
{
	char reasons[IMPORT_WAYS][FBK_REASON_SIZE + 1];
	struct fbk_vk_memory known;
	int r = vk_struct_read(&known, sizeof(known), VK_FIRST_MEMORY, memory);
	if (r < 0) {
		return r;
	}
	int error = -EOPNOTSUPP;
	for (size_t i = 0; i < IMPORT_WAYS; i++) {
		r = import_by(vk, &import_ways[i], &known, ret_buffer);
		if (r == 0) {
			return 0;
		}
		error = r != -EOPNOTSUPP ? r : error;
		snprintf(reasons[i], sizeof(reasons[i]), "%s", fbk_vk_error_detail());
	}
	return vk_error_set(error, "%s imports memory neither %s (%s) nor %s (%s)", vk->name,
			    import_ways[0].name, reasons[0], import_ways[1].name, reasons[1]);
}
