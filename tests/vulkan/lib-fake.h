// SPDX-License-Identifier: MIT
/*
 * The machine's Vulkan driver, changed: with less, and with what it pretends to have, so that what
 * other drivers do is tested. What it pretends works, or is written down here. It imports dma-bufs
 * where a test adds that, and not otherwise, whatever the driver itself does. One for the process;
 * check forks each test.
 */
#pragma once

#include "fence-vulkan.h"

#define FAKE_NAMES 4

#define HOST    "VK_EXT_external_memory_host"
#define DMA_BUF "VK_EXT_external_memory_dma_buf"

struct fake {
	const char *hidden[FAKE_NAMES];                /* device extensions that it has not got */
	const char *added[FAKE_NAMES];                 /* and that it has */
	uint64_t host_alignment;                       /* of imports; 0: as it is */
	bool no_atomics;                               /* of 64 bits */
	bool no_timelines;                             /* semaphores */
	uint32_t difference_max;                       /* of timeline semaphores; 0: as it is */
	VkResult allocation;                           /* of all memory, if it is an error */
	VkExternalSemaphoreHandleTypeFlags semaphores; /* that it imports and exports */

	unsigned int allocations; /* of memory that succeeded */
	unsigned int dmabufs;     /* of these, imported so */
	unsigned int markers;     /* recorded */
	VkImportSemaphoreFdInfoKHR imported;
	VkSemaphoreGetFdInfoKHR exported;
	VkExportSemaphoreCreateInfo made;
	int export_fd; /* what the next export gives */
};
extern struct fake fake;

/* For fbk_vk_choice. */
PFN_vkVoidFunction fake_get(VkInstance instance, const char *name);

/* The real one, which does not see what is changed. */
PFN_vkGetInstanceProcAddr fake_get_real(void);
