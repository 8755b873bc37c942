// SPDX-License-Identifier: MIT
/*
 * A Vulkan device for one test, with a timeline of a daemon that it signals, memory that it writes,
 * and command buffers. Open it after forking: it has threads. Whatever does not go as it must fails
 * the running test, a message of the validation layer included. One thread.
 */
#pragma once

#include "fence-vulkan.h"
#include "tests/integration/lib-peer.h"
#include "lib-fake.h"

#define GPU_PROCS(X)                  \
	X(vkAllocateCommandBuffers)   \
	X(vkBeginCommandBuffer)       \
	X(vkCmdFillBuffer)            \
	X(vkCmdPipelineBarrier)       \
	X(vkCreateCommandPool)        \
	X(vkDestroyCommandPool)       \
	X(vkDeviceWaitIdle)           \
	X(vkEndCommandBuffer)         \
	X(vkGetSemaphoreCounterValue) \
	X(vkQueueSubmit)              \
	X(vkSignalSemaphore)          \
	X(vkCreateSemaphore)          \
	X(vkDestroySemaphore)

struct gpu {
	struct fbk_vk *vk;
	VkDevice device;
	VkQueue queue;
	VkCommandPool pool;
	uint32_t family;
#define X(name) PFN_##name name;
	GPU_PROCS(X)
#undef X
};

/* As suite_main(), where there is a device: else it says what is missing, and skips. */
int gpu_suite(const char *name, void (*add)(TCase *tcase));

void gpu_open(struct gpu *gpu);      /* the machine's */
void gpu_open_fake(struct gpu *gpu); /* as lib-fake.h says */
void gpu_close(struct gpu *gpu);

VkCommandBuffer gpu_begin(struct gpu *gpu);

/* Fill the buffer with `number`, after whatever wrote to it before. */
void gpu_fill(struct gpu *gpu, VkCommandBuffer commands, VkBuffer buffer, uint32_t number);

/* `semaphore` NULL: waits for none. */
void gpu_submit(struct gpu *gpu, VkCommandBuffer commands, VkSemaphore semaphore, uint64_t value);
void gpu_idle(struct gpu *gpu); /* and the command buffers are no more */

VkSemaphore gpu_semaphore(struct gpu *gpu); /* a timeline semaphore at 0 */
uint64_t gpu_semaphore_value(struct gpu *gpu, VkSemaphore semaphore);
void gpu_semaphore_signal(struct gpu *gpu, VkSemaphore semaphore, uint64_t value);

/* A device and a timeline of it, as fbk_vk_describe() says, and the signal. */
struct engine {
	struct fbk_device_desc desc;
	struct fbk_device *device;
	struct fbk_timeline *timeline;
	struct fbk_vk_signal *signal;
};
void engine_open(struct engine *engine, struct gpu *gpu, struct fbk_context *context,
		 enum fbk_vk_way way);
void engine_close(struct engine *engine);

/* Its token, to whoever is at the other end of the socket. */
void engine_send(struct engine *engine, int socket);

uint64_t engine_word(struct engine *engine); /* what is in memory now */

/* One command buffer with one signal, submitted. */
void engine_signal(struct engine *engine, struct gpu *gpu, uint64_t value);
