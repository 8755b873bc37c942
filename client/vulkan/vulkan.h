// SPDX-License-Identifier: MIT
/*
 * What the parts of fence-vulkan share. Each list of a struct fbk_vk has its own lock. A lock may be
 * held over requests to the daemon, never over a callback; no other lock is taken under signals_lock.
 * All else is constant once made.
 */
#pragma once

#include "fence-vulkan.h"

#include <bsd/sys/queue.h>
#include <pthread.h>

#define INSTANCE_PROCS(X)                                 \
	X(vkGetDeviceProcAddr)                            \
	X(vkEnumerateDeviceExtensionProperties)           \
	X(vkGetPhysicalDeviceExternalBufferProperties)    \
	X(vkGetPhysicalDeviceExternalSemaphoreProperties) \
	X(vkGetPhysicalDeviceFeatures2)                   \
	X(vkGetPhysicalDeviceMemoryProperties)            \
	X(vkGetPhysicalDeviceProperties2)                 \
	X(vkGetPhysicalDeviceQueueFamilyProperties)

#define DEVICE_PROCS(X)                  \
	X(vkAllocateDescriptorSets)      \
	X(vkAllocateMemory)              \
	X(vkBindBufferMemory)            \
	X(vkCmdBindDescriptorSets)       \
	X(vkCmdBindPipeline)             \
	X(vkCmdDispatch)                 \
	X(vkCmdPipelineBarrier)          \
	X(vkCmdPushConstants)            \
	X(vkCmdUpdateBuffer)             \
	X(vkCreateBuffer)                \
	X(vkCreateComputePipelines)      \
	X(vkCreateDescriptorPool)        \
	X(vkCreateDescriptorSetLayout)   \
	X(vkCreatePipelineLayout)        \
	X(vkCreateSemaphore)             \
	X(vkCreateShaderModule)          \
	X(vkDestroyBuffer)               \
	X(vkDestroyDescriptorPool)       \
	X(vkDestroyDescriptorSetLayout)  \
	X(vkDestroyPipeline)             \
	X(vkDestroyPipelineLayout)       \
	X(vkDestroySemaphore)            \
	X(vkDestroyShaderModule)         \
	X(vkFreeMemory)                  \
	X(vkGetBufferMemoryRequirements) \
	X(vkUpdateDescriptorSets)

/* Functions of an ability; NULL without it. */
#define ABILITY_PROCS(X)                                                    \
	X(vkGetMemoryHostPointerPropertiesEXT, FBK_VK_ABILITY_HOST_POINTER) \
	X(vkGetMemoryFdPropertiesKHR, FBK_VK_ABILITY_DMA_BUF)               \
	X(vkSignalSemaphore, FBK_VK_ABILITY_TIMELINES)                      \
	X(vkGetSemaphoreFdKHR, FBK_VK_ABILITY_SEMAPHORE_FDS)                \
	X(vkImportSemaphoreFdKHR, FBK_VK_ABILITY_SEMAPHORE_FDS)             \
	X(vkCmdWriteBufferMarkerAMD, FBK_VK_ABILITY_MARKERS)

struct instance_procs {
#define X(name) PFN_##name name;
	INSTANCE_PROCS(X)
#undef X
};

struct device_procs {
#define X(name) PFN_##name name;
	DEVICE_PROCS(X)
#undef X
#define X(name, ability) PFN_##name name;
	ABILITY_PROCS(X)
#undef X
};

#define FAMILIES_MAX 16

/* An imported page of timelines, shared by their signals. Under pages_lock. */
struct page {
	LIST_ENTRY(page) links;
	const void *start;
	unsigned int refs;
	struct fbk_vk_buffer buffer;
	VkDescriptorPool pool; /* with FBK_VK_ABILITY_STORE64 */
	VkDescriptorSet set;
};

struct fbk_vk_signal {
	LIST_ENTRY(fbk_vk_signal) links;
	struct fbk_vk *vk;
	struct fbk_timeline *timeline;
	struct page *page;
	VkDeviceSize offset; /* of the payload in the page */
	bool narrow;         /* the payload has 32 bits */
	enum fbk_vk_way way;
};

struct fbk_vk {
	struct fbk_vk_handles handles;
	struct instance_procs instance;
	struct device_procs procs;
	char name[VK_MAX_PHYSICAL_DEVICE_NAME_SIZE];
	bool software;
	VkDeviceSize host_alignment;
	uint64_t difference_max; /* between a timeline semaphore's value and a waited one */
	uint32_t families[FAMILIES_MAX];
	uint32_t family_count;
	VkDescriptorSetLayout set_layout; /* this and the next two with FBK_VK_ABILITY_STORE64 */
	VkPipelineLayout pipeline_layout;
	VkPipeline pipeline;

	bool ours; /* fbk_vk_open() made instance and device */
	VkQueue queue;
	uint32_t queue_family;

	pthread_mutex_t pages_lock;
	LIST_HEAD(, page) pages;
	pthread_mutex_t signals_lock;
	LIST_HEAD(, fbk_vk_signal) signals;
	bool lost; /* under signals_lock, too */
};

/* error.c: set the sentence; return `error`. */
__attribute__((format(printf, 2, 3))) int vk_error_set(int error, const char *format, ...);
int vk_error_core(int error); /* error of a call of libfencebroker */

/* struct.c: how long each struct was in the first version; these numbers never change. */
#define VK_FIRST_HANDLES     48
#define VK_FIRST_CHOICE      48
#define VK_FIRST_MEMORY      32
#define VK_FIRST_DEVICE_DESC 48

/* Read one of the program's, of `first` bytes or more, or fill it in; NULL is read as zeros. */
int vk_struct_read(void *ret_struct, size_t size, size_t first, const void *given);
int vk_struct_fill(void *ret_struct, const void *ours, size_t size, size_t first);
int vk_error_result(VkResult result, const char *what);

/* procs.c: -EOPNOTSUPP: a function is missing. */
int instance_procs_load(const struct fbk_vk_handles *handles, struct instance_procs *ret_procs);
int device_procs_load(const struct fbk_vk_handles *handles, const struct instance_procs *instance,
		      struct device_procs *ret_procs);

/* ability.c */
bool device_offers(const struct instance_procs *procs, VkPhysicalDevice physical,
		   const char *extension);
const char *ability_needs(uint32_t ability); /* for people */

/* store.c: the objects of FBK_VK_WAY_STORE. */
int store_create(struct fbk_vk *vk);
void store_destroy(struct fbk_vk *vk);
int store_bind(struct fbk_vk *vk, VkBuffer buffer, VkDescriptorPool *ret_pool,
	       VkDescriptorSet *ret_set);
void store_record(const struct fbk_vk_signal *signal, VkCommandBuffer commands, uint64_t value);
