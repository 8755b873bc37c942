// SPDX-License-Identifier: MIT
#include "lib-fake.h"

#include <dlfcn.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/integration/lib-daemon.h"

struct fake fake;

static VkInstance fake_instance;
static VkDevice fake_device;

static PFN_vkVoidFunction real_get(VkInstance instance, const char *name)
{
	static PFN_vkGetInstanceProcAddr get;
	if (!get) {
		void *loader = dlopen("libvulkan.so.1", RTLD_NOW | RTLD_NODELETE);
		get = (PFN_vkGetInstanceProcAddr)dlsym(loader, "vkGetInstanceProcAddr");
	}
	return get(instance, name);
}

#define REAL(name)        ((PFN_##name)(void *)real_get(fake_instance, #name))
#define REAL_DEVICE(name) ((PFN_##name)(void *)REAL(vkGetDeviceProcAddr)(fake_device, #name))

static bool listed(const char *const names[FAKE_NAMES], const char *name)
{
	for (size_t i = 0; i < FAKE_NAMES && names[i]; i++) {
		if (strcmp(names[i], name) == 0) {
			return true;
		}
	}
	return false;
}

/* Of the driver's own. What is added it may have as well, and dma-bufs are those of the fake. */
static bool is_kept_back(const char *name)
{
	return listed(fake.hidden, name) || listed(fake.added, name) || strcmp(name, DMA_BUF) == 0;
}

/* The structure of that type in a chain. */
static void *chain_find(const void *next, VkStructureType type)
{
	const VkBaseInStructure *base = next;
	while (base && base->sType != type) {
		base = base->pNext;
	}
	return (void *)(uintptr_t)base;
}

/* ------------------------------------------------------------------------- physical devices -- */

static VkResult fake_extensions(VkPhysicalDevice physical, const char *layer, uint32_t *count,
				VkExtensionProperties *properties)
{
	static VkExtensionProperties all[512];
	uint32_t room = sizeof(all) / sizeof(all[0]) - FAKE_NAMES, kept = 0;
	REAL(vkEnumerateDeviceExtensionProperties)(physical, layer, &room, all);
	for (uint32_t i = 0; i < room; i++) {
		if (!is_kept_back(all[i].extensionName)) {
			all[kept++] = all[i];
		}
	}
	for (size_t i = 0; i < FAKE_NAMES && fake.added[i]; i++, kept++) {
		strcpy(all[kept].extensionName, fake.added[i]);
	}
	if (properties) {
		memcpy(properties, all, kept * sizeof(all[0]));
	}
	*count = kept;
	return VK_SUCCESS;
}

static void fake_properties(VkPhysicalDevice physical, VkPhysicalDeviceProperties2 *properties)
{
	REAL(vkGetPhysicalDeviceProperties2)(physical, properties);
	VkPhysicalDeviceExternalMemoryHostPropertiesEXT *host =
		chain_find(properties->pNext,
			   VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_EXTERNAL_MEMORY_HOST_PROPERTIES_EXT);
	VkPhysicalDeviceTimelineSemaphoreProperties *timelines = chain_find(
		properties->pNext, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_TIMELINE_SEMAPHORE_PROPERTIES);
	if (host && fake.host_alignment) {
		host->minImportedHostPointerAlignment = fake.host_alignment;
	}
	if (timelines && fake.difference_max) {
		timelines->maxTimelineSemaphoreValueDifference = fake.difference_max;
	}
}

static void fake_features(VkPhysicalDevice physical, VkPhysicalDeviceFeatures2 *features)
{
	REAL(vkGetPhysicalDeviceFeatures2)(physical, features);
	VkPhysicalDeviceShaderAtomicInt64Features *atomics = chain_find(
		features->pNext, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_ATOMIC_INT64_FEATURES);
	VkPhysicalDeviceTimelineSemaphoreFeatures *timelines = chain_find(
		features->pNext, VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_TIMELINE_SEMAPHORE_FEATURES);
	if (atomics && fake.no_atomics) {
		atomics->shaderBufferInt64Atomics = VK_FALSE;
	}
	if (timelines && fake.no_timelines) {
		timelines->timelineSemaphore = VK_FALSE;
	}
}

static void fake_buffer_properties(VkPhysicalDevice physical,
				   const VkPhysicalDeviceExternalBufferInfo *info,
				   VkExternalBufferProperties *properties)
{
	VkPhysicalDeviceExternalBufferInfo host = *info;
	host.handleType = VK_EXTERNAL_MEMORY_HANDLE_TYPE_HOST_ALLOCATION_BIT_EXT;
	REAL(vkGetPhysicalDeviceExternalBufferProperties)(physical, &host, properties);
}

static void fake_semaphore_properties(VkPhysicalDevice physical,
				      const VkPhysicalDeviceExternalSemaphoreInfo *info,
				      VkExternalSemaphoreProperties *properties)
{
	REAL(vkGetPhysicalDeviceExternalSemaphoreProperties)(physical, info, properties);
	if (info->handleType & fake.semaphores) {
		properties->externalSemaphoreFeatures =
			VK_EXTERNAL_SEMAPHORE_FEATURE_IMPORTABLE_BIT |
			VK_EXTERNAL_SEMAPHORE_FEATURE_EXPORTABLE_BIT;
	}
}

static VkResult fake_create_instance(const VkInstanceCreateInfo *info,
				     const VkAllocationCallbacks *allocator, VkInstance *instance)
{
	VkResult result = REAL(vkCreateInstance)(info, allocator, instance);
	fake_instance = *instance;
	return result;
}

/* The real device imports by pointer, dma-bufs too. */
static VkResult fake_create_device(VkPhysicalDevice physical, const VkDeviceCreateInfo *info,
				   const VkAllocationCallbacks *allocator, VkDevice *device)
{
	const char *names[32] = { HOST };
	VkDeviceCreateInfo real = *info;
	real.enabledExtensionCount = 1;
	real.ppEnabledExtensionNames = names;
	for (uint32_t i = 0; i < info->enabledExtensionCount; i++) {
		const char *name = info->ppEnabledExtensionNames[i];
		if (!listed(fake.added, name) && strcmp(name, HOST) != 0) {
			names[real.enabledExtensionCount++] = name;
		}
	}
	VkResult result = REAL(vkCreateDevice)(physical, &real, allocator, device);
	fake_device = *device;
	return result;
}

/* ----------------------------------------------------------------------------------- memory -- */

static VkResult fake_create_buffer(VkDevice device, const VkBufferCreateInfo *info,
				   const VkAllocationCallbacks *allocator, VkBuffer *buffer)
{
	VkExternalMemoryBufferCreateInfo *external =
		chain_find(info->pNext, VK_STRUCTURE_TYPE_EXTERNAL_MEMORY_BUFFER_CREATE_INFO);
	if (external) {
		external->handleTypes = VK_EXTERNAL_MEMORY_HANDLE_TYPE_HOST_ALLOCATION_BIT_EXT;
	}
	return REAL_DEVICE(vkCreateBuffer)(device, info, allocator, buffer);
}

static VkResult fake_fd_properties(VkDevice device, VkExternalMemoryHandleTypeFlagBits type, int fd,
				   VkMemoryFdPropertiesKHR *properties)
{
	(void)device;
	ck_assert_int_eq(type, VK_EXTERNAL_MEMORY_HANDLE_TYPE_DMA_BUF_BIT_EXT);
	ck_assert_int_ge(fd, 0);
	properties->memoryTypeBits = 1;
	return VK_SUCCESS;
}

/* An fd is imported as a mapping of it; it belongs to the driver then. */
static VkResult fake_allocate(VkDevice device, const VkMemoryAllocateInfo *info,
			      const VkAllocationCallbacks *allocator, VkDeviceMemory *memory)
{
	VkMemoryAllocateInfo real = *info;
	const VkImportMemoryFdInfoKHR *fd =
		chain_find(info->pNext, VK_STRUCTURE_TYPE_IMPORT_MEMORY_FD_INFO_KHR);
	VkImportMemoryHostPointerInfoEXT host = {
		.sType = VK_STRUCTURE_TYPE_IMPORT_MEMORY_HOST_POINTER_INFO_EXT,
		.handleType = VK_EXTERNAL_MEMORY_HANDLE_TYPE_HOST_ALLOCATION_BIT_EXT,
	};
	if (fake.allocation != VK_SUCCESS) {
		return fake.allocation;
	}
	if (fd) {
		host.pHostPointer = mmap(NULL, info->allocationSize, PROT_READ | PROT_WRITE,
					 MAP_SHARED, fd->fd, 0);
		if (host.pHostPointer == MAP_FAILED) {
			return VK_ERROR_INVALID_EXTERNAL_HANDLE;
		}
		close(fd->fd);
		fake.dmabufs++;
		real.pNext = &host;
	}
	fake.allocations++;
	return REAL_DEVICE(vkAllocateMemory)(device, &real, allocator, memory);
}

static void fake_marker(VkCommandBuffer commands, VkPipelineStageFlagBits stage, VkBuffer buffer,
			VkDeviceSize offset, uint32_t marker)
{
	(void)stage;
	fake.markers++;
	REAL_DEVICE(vkCmdUpdateBuffer)(commands, buffer, offset, sizeof(marker), &marker);
}

/* ------------------------------------------------------------------------------- semaphores -- */

static VkResult fake_create_semaphore(VkDevice device, const VkSemaphoreCreateInfo *info,
				      const VkAllocationCallbacks *allocator,
				      VkSemaphore *semaphore)
{
	const VkExportSemaphoreCreateInfo *made =
		chain_find(info->pNext, VK_STRUCTURE_TYPE_EXPORT_SEMAPHORE_CREATE_INFO);
	const VkSemaphoreTypeCreateInfo *type =
		chain_find(info->pNext, VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO);
	VkSemaphoreTypeCreateInfo plain_type;
	VkSemaphoreCreateInfo plain = *info;
	if (made) {
		fake.made = *made;
		plain.pNext = NULL;
		if (type) {
			plain_type = *type;
			plain_type.pNext = NULL;
			plain.pNext = &plain_type;
		}
	}
	return REAL_DEVICE(vkCreateSemaphore)(device, &plain, allocator, semaphore);
}

static VkResult fake_import_semaphore(VkDevice device, const VkImportSemaphoreFdInfoKHR *info)
{
	(void)device;
	fake.imported = *info;
	close(info->fd);
	return VK_SUCCESS;
}

static VkResult fake_export_semaphore(VkDevice device, const VkSemaphoreGetFdInfoKHR *info, int *fd)
{
	(void)device;
	fake.exported = *info;
	*fd = fake.export_fd;
	return VK_SUCCESS;
}

/* -------------------------------------------------------------------------------- functions -- */

#define FAKE(name, function)                                \
	{                                                   \
#name, (PFN_vkVoidFunction)(void *)function \
	}

static PFN_vkVoidFunction fake_get_device(VkDevice device, const char *name);

static const struct {
	const char *name;
	PFN_vkVoidFunction function;
} functions[] = {
	FAKE(vkGetInstanceProcAddr, fake_get),
	FAKE(vkGetDeviceProcAddr, fake_get_device),
	FAKE(vkCreateInstance, fake_create_instance),
	FAKE(vkCreateDevice, fake_create_device),
	FAKE(vkEnumerateDeviceExtensionProperties, fake_extensions),
	FAKE(vkGetPhysicalDeviceProperties2, fake_properties),
	FAKE(vkGetPhysicalDeviceFeatures2, fake_features),
	FAKE(vkGetPhysicalDeviceExternalBufferProperties, fake_buffer_properties),
	FAKE(vkGetPhysicalDeviceExternalSemaphoreProperties, fake_semaphore_properties),
	FAKE(vkCreateBuffer, fake_create_buffer),
	FAKE(vkGetMemoryFdPropertiesKHR, fake_fd_properties),
	FAKE(vkAllocateMemory, fake_allocate),
	FAKE(vkCmdWriteBufferMarkerAMD, fake_marker),
	FAKE(vkCreateSemaphore, fake_create_semaphore),
	FAKE(vkImportSemaphoreFdKHR, fake_import_semaphore),
	FAKE(vkGetSemaphoreFdKHR, fake_export_semaphore),
};

static PFN_vkVoidFunction fake_find(const char *name)
{
	for (size_t i = 0; i < sizeof(functions) / sizeof(functions[0]); i++) {
		if (strcmp(functions[i].name, name) == 0) {
			return functions[i].function;
		}
	}
	return NULL;
}

PFN_vkVoidFunction fake_get(VkInstance instance, const char *name)
{
	PFN_vkVoidFunction function = fake_find(name);
	return function ? function : real_get(instance, name);
}

static PFN_vkVoidFunction fake_get_device(VkDevice device, const char *name)
{
	PFN_vkVoidFunction function = fake_find(name);
	return function ? function : REAL(vkGetDeviceProcAddr)(device, name);
}

PFN_vkGetInstanceProcAddr fake_get_real(void)
{
	return real_get;
}
