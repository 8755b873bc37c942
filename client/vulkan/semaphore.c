// SPDX-License-Identifier: MIT
#include <errno.h>
#include <unistd.h>

#include "vulkan.h"

static const struct kind {
	VkExternalSemaphoreHandleTypeFlagBits handle;
	VkSemaphoreType type;
	VkSemaphoreImportFlags import; /* a sync_file import lasts for one wait */
	const char *name;
} kinds[] = {
	[FBK_VK_FD_SYNC_FILE] = { VK_EXTERNAL_SEMAPHORE_HANDLE_TYPE_SYNC_FD_BIT,
				  VK_SEMAPHORE_TYPE_BINARY, VK_SEMAPHORE_IMPORT_TEMPORARY_BIT,
				  "sync_files" },
	[FBK_VK_FD_OPAQUE] = { VK_EXTERNAL_SEMAPHORE_HANDLE_TYPE_OPAQUE_FD_BIT,
			       VK_SEMAPHORE_TYPE_BINARY, 0, "opaque fds of binary semaphores" },
	[FBK_VK_FD_OPAQUE_TIMELINE] = { VK_EXTERNAL_SEMAPHORE_HANDLE_TYPE_OPAQUE_FD_BIT,
					VK_SEMAPHORE_TYPE_TIMELINE, 0,
					"opaque fds of timeline semaphores" },
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

/* `feature`: to import or to export. */
static int kind_check(const struct fbk_vk *vk, enum fbk_vk_fd number,
		      VkExternalSemaphoreFeatureFlags feature)
{
	if (number < FBK_VK_FD_SYNC_FILE || number >= KINDS) {
		return vk_error_set(-EINVAL, "%u is not a kind of semaphore fd", number);
	}
	const struct kind *kind = &kinds[number];
	if (!(vk->handles.abilities & FBK_VK_ABILITY_SEMAPHORE_FDS)) {
		return vk_error_set(-EOPNOTSUPP, "%s has no %s: it lacks %s", vk->name, kind->name,
				    ability_needs(FBK_VK_ABILITY_SEMAPHORE_FDS));
	}
	if (kind->type == VK_SEMAPHORE_TYPE_TIMELINE &&
	    !(vk->handles.abilities & FBK_VK_ABILITY_TIMELINES)) {
		return vk_error_set(-EOPNOTSUPP, "%s has no %s: it lacks %s", vk->name, kind->name,
				    ability_needs(FBK_VK_ABILITY_TIMELINES));
	}
	const VkSemaphoreTypeCreateInfo type = {
		.sType = VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO,
		.semaphoreType = kind->type,
	};
	const VkPhysicalDeviceExternalSemaphoreInfo question = {
		.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_EXTERNAL_SEMAPHORE_INFO,
		/* a driver without timelines may not know the structure */
		.pNext = kind->type == VK_SEMAPHORE_TYPE_TIMELINE ? &type : NULL,
		.handleType = kind->handle,
	};
	VkExternalSemaphoreProperties answer = {
		.sType = VK_STRUCTURE_TYPE_EXTERNAL_SEMAPHORE_PROPERTIES,
	};
	vk->instance.vkGetPhysicalDeviceExternalSemaphoreProperties(vk->handles.physical, &question,
								    &answer);
	if (!(answer.externalSemaphoreFeatures & feature)) {
		return vk_error_set(-EOPNOTSUPP, "%s does not %s %s", vk->name,
				    feature == VK_EXTERNAL_SEMAPHORE_FEATURE_IMPORTABLE_BIT
					    ? "import"
					    : "export",
				    kind->name);
	}
	return 0;
}

static int semaphore_make(struct fbk_vk *vk, const struct kind *kind, bool exported,
			  VkSemaphore *ret_semaphore)
{
	const VkExportSemaphoreCreateInfo exports = {
		.sType = VK_STRUCTURE_TYPE_EXPORT_SEMAPHORE_CREATE_INFO,
		.handleTypes = kind->handle,
	};
	const VkSemaphoreTypeCreateInfo type = {
		.sType = VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO,
		.pNext = exported ? &exports : NULL,
		.semaphoreType = kind->type,
	};
	const VkSemaphoreCreateInfo info = {
		.sType = VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO,
		.pNext = kind->type == VK_SEMAPHORE_TYPE_TIMELINE ? &type : type.pNext,
	};
	return fbk_vk_check(
		vk, vk->procs.vkCreateSemaphore(vk->handles.device, &info, NULL, ret_semaphore),
		"vkCreateSemaphore");
}

int fbk_vk_semaphore_create(struct fbk_vk *vk, enum fbk_vk_fd kind, VkSemaphore *ret_semaphore)
{
	int r = kind_check(vk, kind, VK_EXTERNAL_SEMAPHORE_FEATURE_EXPORTABLE_BIT);
	return r < 0 ? r : semaphore_make(vk, &kinds[kind], true, ret_semaphore);
}

static int semaphore_take(struct fbk_vk *vk, const struct kind *kind, int fd,
			  VkSemaphore *ret_semaphore)
{
	VkSemaphore semaphore;
	int r = semaphore_make(vk, kind, false, &semaphore);
	if (r < 0) {
		return r;
	}
	const VkImportSemaphoreFdInfoKHR info = {
		.sType = VK_STRUCTURE_TYPE_IMPORT_SEMAPHORE_FD_INFO_KHR,
		.semaphore = semaphore,
		.flags = kind->import,
		.handleType = kind->handle,
		.fd = fd,
	};
	r = fbk_vk_check(vk, vk->procs.vkImportSemaphoreFdKHR(vk->handles.device, &info),
			 "vkImportSemaphoreFdKHR");
	if (r < 0) {
		fbk_vk_semaphore_destroy(vk, semaphore);
		return r;
	}
	*ret_semaphore = semaphore;
	return 0;
}

int fbk_vk_semaphore_import(struct fbk_vk *vk, enum fbk_vk_fd kind, int fd,
			    VkSemaphore *ret_semaphore)
{
	int r = kind_check(vk, kind, VK_EXTERNAL_SEMAPHORE_FEATURE_IMPORTABLE_BIT);
	if (r == 0) {
		r = semaphore_take(vk, &kinds[kind], fd, ret_semaphore);
	}
	if (r < 0) {
		close(fd); /* the driver owns the fd only after success */
	}
	return r;
}

int fbk_vk_semaphore_export(struct fbk_vk *vk, enum fbk_vk_fd kind, VkSemaphore semaphore,
			    int *ret_fd)
{
	int r = kind_check(vk, kind, VK_EXTERNAL_SEMAPHORE_FEATURE_EXPORTABLE_BIT);
	if (r < 0) {
		return r;
	}
	const VkSemaphoreGetFdInfoKHR info = {
		.sType = VK_STRUCTURE_TYPE_SEMAPHORE_GET_FD_INFO_KHR,
		.semaphore = semaphore,
		.handleType = kinds[kind].handle,
	};
	return fbk_vk_check(vk, vk->procs.vkGetSemaphoreFdKHR(vk->handles.device, &info, ret_fd),
			    "vkGetSemaphoreFdKHR");
}

void fbk_vk_semaphore_destroy(struct fbk_vk *vk, VkSemaphore semaphore)
{
	vk->procs.vkDestroySemaphore(vk->handles.device, semaphore, NULL);
}
