// SPDX-License-Identifier: MIT
/* A VkDevice for programs without one. */
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vulkan.h"

#define LOADER      "libvulkan.so.1"
#define DEVICES_MAX 16
#define NAMES_MAX   32

static int loader_get(PFN_vkGetInstanceProcAddr *ret_get)
{
	/* Never unloaded: drivers leave threads and thread-local data behind. */
	void *loader = dlopen(LOADER, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
	if (!loader) {
		return vk_error_set(-ENOENT, "there is no Vulkan loader: %s", dlerror());
	}
	*ret_get = (PFN_vkGetInstanceProcAddr)dlsym(loader, "vkGetInstanceProcAddr");
	dlclose(loader);
	return *ret_get ? 0 : vk_error_set(-ENOENT, "%s is not a Vulkan loader", LOADER);
}

static int instance_create(PFN_vkGetInstanceProcAddr get, VkInstance *ret_instance)
{
	const VkApplicationInfo application = {
		.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO,
		.pEngineName = "fencebroker",
		.apiVersion = VK_API_VERSION_1_2,
	};
	const VkInstanceCreateInfo info = {
		.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO,
		.pApplicationInfo = &application,
	};
	PFN_vkCreateInstance create =
		(PFN_vkCreateInstance)(void *)get(VK_NULL_HANDLE, "vkCreateInstance");
	VkResult result =
		create ? create(&info, NULL, ret_instance) : VK_ERROR_INITIALIZATION_FAILED;
	if (result == VK_ERROR_INCOMPATIBLE_DRIVER) {
		return vk_error_set(-ENOENT, "there is no Vulkan driver (Mesa's package "
					     "mesa-vulkan-drivers has one that needs no GPU)");
	}
	return result == VK_SUCCESS ? 0 : vk_error_result(result, "vkCreateInstance");
}

/* --------------------------------------------------------------------------------- choosing -- */

struct candidate {
	VkPhysicalDevice physical;
	uint32_t queue_family;
	uint32_t abilities;
	unsigned int rank;
	uint32_t order;
};

static const unsigned int ranks[] = {
	[VK_PHYSICAL_DEVICE_TYPE_OTHER] = 2,        [VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU] = 4,
	[VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU] = 5, [VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU] = 3,
	[VK_PHYSICAL_DEVICE_TYPE_CPU] = 1,
};

static bool family_find(const struct instance_procs *procs, VkPhysicalDevice physical,
			VkQueueFlags wanted, uint32_t *ret_family)
{
	VkQueueFamilyProperties families[FAMILIES_MAX];
	uint32_t count = FAMILIES_MAX;
	procs->vkGetPhysicalDeviceQueueFamilyProperties(physical, &count, families);
	for (uint32_t i = 0; i < count; i++) {
		if (families[i].queueCount > 0 && (families[i].queueFlags & wanted) == wanted) {
			*ret_family = i;
			return true;
		}
	}
	return false;
}

/* 0, or the errno that says why the device does not fit. */
static int candidate_check(const struct instance_procs *procs, struct fbk_vk_handles *handles,
			   const struct fbk_vk_choice *choice, struct candidate *candidate)
{
	VkPhysicalDeviceProperties2 properties = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2,
	};
	VkQueueFlags queue = choice->queue ? choice->queue : VK_QUEUE_COMPUTE_BIT;
	procs->vkGetPhysicalDeviceProperties2(candidate->physical, &properties);
	const char *name = properties.properties.deviceName;
	unsigned int type = properties.properties.deviceType;
	if (choice->name && !strcasestr(name, choice->name)) {
		return vk_error_set(-ENOENT, "there is no Vulkan device called %s", choice->name);
	}
	if (!family_find(procs, candidate->physical, queue, &candidate->queue_family)) {
		return vk_error_set(-EOPNOTSUPP, "%s has no queue with the requested flags (0x%x)",
				    name, queue);
	}
	handles->physical = candidate->physical;
	candidate->abilities = fbk_vk_abilities(handles);
	if (!(candidate->abilities & (FBK_VK_ABILITY_HOST_POINTER | FBK_VK_ABILITY_DMA_BUF))) {
		return vk_error_set(-EOPNOTSUPP,
				    "%s has no way to import memory: neither %s nor %s", name,
				    ability_needs(FBK_VK_ABILITY_HOST_POINTER),
				    ability_needs(FBK_VK_ABILITY_DMA_BUF));
	}
	candidate->rank = type < sizeof(ranks) / sizeof(ranks[0]) ? ranks[type] : 2;
	return 0;
}

/* Best first; equals in the order of the loader. */
static int candidate_compare(const void *a, const void *b)
{
	const struct candidate *left = a, *right = b;
	return left->rank != right->rank
		       ? (left->rank < right->rank) - (left->rank > right->rank)
		       : (left->order > right->order) - (left->order < right->order);
}

static int candidate_choose(const struct instance_procs *procs, struct fbk_vk_handles *handles,
			    const struct fbk_vk_choice *choice, struct candidate *ret_best)
{
	VkPhysicalDevice devices[DEVICES_MAX];
	uint32_t count = DEVICES_MAX;
	int r = vk_error_set(-ENOENT, "there is no Vulkan device");
	PFN_vkEnumeratePhysicalDevices list = (PFN_vkEnumeratePhysicalDevices)(void *)handles->get(
		handles->instance, "vkEnumeratePhysicalDevices");
	VkResult result = list(handles->instance, &count, devices);
	if (result != VK_SUCCESS && result != VK_INCOMPLETE) {
		return vk_error_result(result, "vkEnumeratePhysicalDevices");
	}
	struct candidate fit[DEVICES_MAX];
	size_t fits = 0;
	for (uint32_t i = 0; i < count; i++) {
		fit[fits] = (struct candidate){ .physical = devices[i], .order = i };
		int error = candidate_check(procs, handles, choice, &fit[fits]);
		r = error == -EOPNOTSUPP || r == -ENOENT ? error : r;
		fits += error == 0;
	}
	if (choice->skip >= fits) {
		return fits == 0 ? r : vk_error_set(-ENOENT, "there is no other Vulkan device");
	}
	qsort(fit, fits, sizeof(fit[0]), candidate_compare);
	*ret_best = fit[choice->skip];
	return 0;
}

/* ----------------------------------------------------------------------------------- making -- */

static size_t names_collect(const struct instance_procs *procs,
			    const struct fbk_vk_handles *handles,
			    const struct fbk_vk_choice *choice, const char *ret_names[NAMES_MAX])
{
	size_t count = fbk_vk_extensions(handles, ret_names);
	for (size_t i = 0; choice->extensions && choice->extensions[i] && count < NAMES_MAX; i++) {
		if (device_offers(procs, handles->physical, choice->extensions[i])) {
			ret_names[count++] = choice->extensions[i];
		}
	}
	return count;
}

static int device_create(const struct instance_procs *procs, struct fbk_vk_handles *handles,
			 const struct fbk_vk_choice *choice, uint32_t family)
{
	const float priority = 1;
	const char *names[NAMES_MAX];
	VkPhysicalDeviceTimelineSemaphoreFeatures timelines = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_TIMELINE_SEMAPHORE_FEATURES,
		.timelineSemaphore = VK_TRUE,
	};
	VkPhysicalDeviceShaderAtomicInt64Features atomics = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_ATOMIC_INT64_FEATURES,
		.shaderBufferInt64Atomics = VK_TRUE,
	};
	VkPhysicalDeviceFeatures2 features = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2,
	};
	const VkDeviceQueueCreateInfo queue = {
		.sType = VK_STRUCTURE_TYPE_DEVICE_QUEUE_CREATE_INFO,
		.queueFamilyIndex = family,
		.queueCount = 1,
		.pQueuePriorities = &priority,
	};
	if (handles->abilities & FBK_VK_ABILITY_TIMELINES) {
		timelines.pNext = features.pNext;
		features.pNext = &timelines;
	}
	if (handles->abilities & FBK_VK_ABILITY_STORE64) {
		features.features.shaderInt64 = VK_TRUE;
		atomics.pNext = features.pNext;
		features.pNext = &atomics;
	}
	const VkDeviceCreateInfo info = {
		.sType = VK_STRUCTURE_TYPE_DEVICE_CREATE_INFO,
		.pNext = &features,
		.queueCreateInfoCount = 1,
		.pQueueCreateInfos = &queue,
		.enabledExtensionCount = (uint32_t)names_collect(procs, handles, choice, names),
		.ppEnabledExtensionNames = names,
	};
	PFN_vkCreateDevice create =
		(PFN_vkCreateDevice)(void *)handles->get(handles->instance, "vkCreateDevice");
	VkResult result = create(handles->physical, &info, NULL, &handles->device);
	return result == VK_SUCCESS ? 0 : vk_error_result(result, "vkCreateDevice");
}

static void instance_destroy(const struct fbk_vk_handles *handles)
{
	PFN_vkDestroyInstance destroy =
		(PFN_vkDestroyInstance)(void *)handles->get(handles->instance, "vkDestroyInstance");
	destroy(handles->instance, NULL);
}

static void device_destroy(const struct fbk_vk_handles *handles)
{
	PFN_vkGetDeviceProcAddr get = (PFN_vkGetDeviceProcAddr)(void *)handles->get(
		handles->instance, "vkGetDeviceProcAddr");
	PFN_vkDestroyDevice destroy =
		(PFN_vkDestroyDevice)(void *)get(handles->device, "vkDestroyDevice");
	destroy(handles->device, NULL);
}

static int device_open(struct fbk_vk_handles *handles, const struct fbk_vk_choice *choice,
		       struct fbk_vk **ret_vk)
{
	struct instance_procs procs;
	struct candidate best;
	int r = instance_procs_load(handles, &procs);
	if (r == 0) {
		r = candidate_choose(&procs, handles, choice, &best);
	}
	if (r < 0) {
		return r;
	}
	handles->physical = best.physical;
	handles->abilities = best.abilities;
	r = device_create(&procs, handles, choice, best.queue_family);
	if (r < 0) {
		return r;
	}
	r = fbk_vk_create(handles, ret_vk);
	if (r < 0) {
		device_destroy(handles);
		return r;
	}
	PFN_vkGetDeviceQueue queue_get = (PFN_vkGetDeviceQueue)(void *)procs.vkGetDeviceProcAddr(
		handles->device, "vkGetDeviceQueue");
	(*ret_vk)->ours = true;
	(*ret_vk)->queue_family = best.queue_family;
	queue_get(handles->device, best.queue_family, 0, &(*ret_vk)->queue);
	return 0;
}

int fbk_vk_open(const struct fbk_vk_choice *choice, struct fbk_vk **ret_vk)
{
	struct fbk_vk_handles handles = { .struct_size = sizeof(handles) };
	struct fbk_vk_choice known;
	int r = vk_struct_read(&known, sizeof(known), VK_FIRST_CHOICE, choice);
	if (r < 0) {
		return r;
	}
	handles.get = known.get;
	r = handles.get ? 0 : loader_get(&handles.get);
	if (r == 0) {
		r = instance_create(handles.get, &handles.instance);
	}
	if (r < 0) {
		return r;
	}
	r = device_open(&handles, &known, ret_vk);
	if (r < 0) {
		instance_destroy(&handles);
	}
	return r;
}

void fbk_vk_destroy(struct fbk_vk *vk)
{
	if (!vk) {
		return;
	}
	store_destroy(vk);
	if (vk->ours) {
		device_destroy(&vk->handles);
		instance_destroy(&vk->handles);
	}
	pthread_mutex_destroy(&vk->signals_lock);
	pthread_mutex_destroy(&vk->pages_lock);
	free(vk);
}
