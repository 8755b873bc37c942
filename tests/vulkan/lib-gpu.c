// SPDX-License-Identifier: MIT
#include "lib-gpu.h"

#include <dlfcn.h>
#include <link.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* What the driver leaks is told from what we leak by its module, which has to be there at the end. */
static int module_keep(struct dl_phdr_info *info, size_t size, void *arg)
{
	(void)size;
	(void)arg;
	dlopen(info->dlpi_name, RTLD_NOW | RTLD_NOLOAD | RTLD_NODELETE);
	return 0;
}

int gpu_suite(const char *name, void (*add)(TCase *tcase))
{
	struct fbk_vk *vk;
	if (fbk_vk_open(NULL, &vk) < 0) {
		printf("SKIPPED: %s\n", fbk_vk_error_detail());
		return 77;
	}
	dl_iterate_phdr(module_keep, NULL);
	fbk_vk_destroy(vk); /* and its threads, before anything is forked */
	return suite_main(name, add);
}

static void pool_create(struct gpu *gpu)
{
	const VkCommandPoolCreateInfo info = {
		.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
		.queueFamilyIndex = gpu->family,
	};
	EXPECT(gpu->vkCreateCommandPool(gpu->device, &info, NULL, &gpu->pool) == VK_SUCCESS);
}

static void gpu_start(struct gpu *gpu, const struct fbk_vk_choice *choice)
{
	int r = fbk_vk_open(choice, &gpu->vk);
	ck_assert_msg(r == 0, "fbk_vk_open: %s", fbk_vk_error_detail());
	const struct fbk_vk_handles *handles = fbk_vk_handles(gpu->vk);
	gpu->device = handles->device;
	gpu->queue = fbk_vk_queue(gpu->vk, &gpu->family);
	PFN_vkGetDeviceProcAddr get = (PFN_vkGetDeviceProcAddr)(void *)handles->get(
		handles->instance, "vkGetDeviceProcAddr");
#define X(name) gpu->name = (PFN_##name)(void *)get(gpu->device, #name);
	GPU_PROCS(X)
#undef X
	pool_create(gpu);
}

void gpu_open(struct gpu *gpu)
{
	gpu_start(gpu, NULL);
}

void gpu_open_fake(struct gpu *gpu)
{
	gpu_start(gpu, &(struct fbk_vk_choice){ .struct_size = sizeof(struct fbk_vk_choice),
						.get = fake_get });
}

void gpu_close(struct gpu *gpu)
{
	ck_assert_int_eq(gpu->vkDeviceWaitIdle(gpu->device), 0);
	gpu->vkDestroyCommandPool(gpu->device, gpu->pool, NULL);
	fbk_vk_destroy(gpu->vk);
}

VkCommandBuffer gpu_begin(struct gpu *gpu)
{
	VkCommandBuffer commands;
	const VkCommandBufferAllocateInfo info = {
		.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
		.commandPool = gpu->pool,
		.commandBufferCount = 1,
	};
	const VkCommandBufferBeginInfo begin = {
		.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
		.flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT,
	};
	EXPECT(gpu->vkAllocateCommandBuffers(gpu->device, &info, &commands) == VK_SUCCESS);
	EXPECT(gpu->vkBeginCommandBuffer(commands, &begin) == VK_SUCCESS);
	return commands;
}

void gpu_fill(struct gpu *gpu, VkCommandBuffer commands, VkBuffer buffer, uint32_t number)
{
	const VkMemoryBarrier barrier = {
		.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
		.srcAccessMask = VK_ACCESS_TRANSFER_WRITE_BIT,
		.dstAccessMask = VK_ACCESS_TRANSFER_WRITE_BIT,
	};
	gpu->vkCmdPipelineBarrier(commands, VK_PIPELINE_STAGE_TRANSFER_BIT,
				  VK_PIPELINE_STAGE_TRANSFER_BIT, 0, 1, &barrier, 0, NULL, 0, NULL);
	gpu->vkCmdFillBuffer(commands, buffer, 0, VK_WHOLE_SIZE, number);
}

void gpu_submit(struct gpu *gpu, VkCommandBuffer commands, VkSemaphore semaphore, uint64_t value)
{
	const VkPipelineStageFlags stage = VK_PIPELINE_STAGE_ALL_COMMANDS_BIT;
	const VkTimelineSemaphoreSubmitInfo values = {
		.sType = VK_STRUCTURE_TYPE_TIMELINE_SEMAPHORE_SUBMIT_INFO,
		.waitSemaphoreValueCount = 1,
		.pWaitSemaphoreValues = &value,
	};
	VkSubmitInfo info = {
		.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
		.commandBufferCount = 1,
		.pCommandBuffers = &commands,
	};
	if (semaphore) {
		info.pNext = &values;
		info.waitSemaphoreCount = 1;
		info.pWaitSemaphores = &semaphore;
		info.pWaitDstStageMask = &stage;
	}
	EXPECT(gpu->vkEndCommandBuffer(commands) == VK_SUCCESS);
	EXPECT(fbk_vk_check(gpu->vk, gpu->vkQueueSubmit(gpu->queue, 1, &info, VK_NULL_HANDLE),
			    "vkQueueSubmit") == 0);
}

void gpu_idle(struct gpu *gpu)
{
	EXPECT(gpu->vkDeviceWaitIdle(gpu->device) == VK_SUCCESS);
	gpu->vkDestroyCommandPool(gpu->device, gpu->pool, NULL);
	pool_create(gpu);
}

VkSemaphore gpu_semaphore(struct gpu *gpu)
{
	VkSemaphore semaphore;
	const VkSemaphoreTypeCreateInfo type = {
		.sType = VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO,
		.semaphoreType = VK_SEMAPHORE_TYPE_TIMELINE,
	};
	const VkSemaphoreCreateInfo info = {
		.sType = VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO,
		.pNext = &type,
	};
	ck_assert_int_eq(gpu->vkCreateSemaphore(gpu->device, &info, NULL, &semaphore), 0);
	return semaphore;
}

uint64_t gpu_semaphore_value(struct gpu *gpu, VkSemaphore semaphore)
{
	uint64_t value;
	EXPECT(gpu->vkGetSemaphoreCounterValue(gpu->device, semaphore, &value) == VK_SUCCESS);
	return value;
}

void gpu_semaphore_signal(struct gpu *gpu, VkSemaphore semaphore, uint64_t value)
{
	const VkSemaphoreSignalInfo info = {
		.sType = VK_STRUCTURE_TYPE_SEMAPHORE_SIGNAL_INFO,
		.semaphore = semaphore,
		.value = value,
	};
	EXPECT(gpu->vkSignalSemaphore(gpu->device, &info) == VK_SUCCESS);
}

void engine_open(struct engine *engine, struct gpu *gpu, struct fbk_context *context,
		 enum fbk_vk_way way)
{
	if (!engine->desc.name) { /* else the test has something of its own in mind */
		engine->desc.struct_size = sizeof(engine->desc);
		ck_assert_int_eq(fbk_vk_describe(gpu->vk, "gpu0", &engine->desc), 0);
	}
	int r = fbk_device_register(context, &engine->desc, &engine->device);
	ck_assert_msg(r == 0, "fbk_device_register: %s", fbk_error_detail());
	r = fbk_timeline_create(engine->device, NULL, "frames", 0, &engine->timeline);
	ck_assert_msg(r == 0, "fbk_timeline_create: %s", fbk_error_detail());
	r = fbk_vk_signal_create(gpu->vk, engine->timeline, way, &engine->signal);
	ck_assert_msg(r == 0, "fbk_vk_signal_create: %s", fbk_vk_error_detail());
}

void engine_close(struct engine *engine)
{
	fbk_vk_signal_destroy(engine->signal);
	fbk_timeline_close(engine->timeline);
	fbk_device_unregister(engine->device);
}

void engine_send(struct engine *engine, int socket)
{
	int token;
	ck_assert_int_eq(fbk_timeline_share(engine->timeline, FBK_RIGHT_WAIT, &token), 0);
	send_word(socket, 0, token);
	close(token);
}

uint64_t engine_word(struct engine *engine)
{
	struct fbk_memory memory = { .struct_size = sizeof(memory) };
	EXPECT(fbk_timeline_memory(engine->timeline, &memory, NULL) == 0);
	return atomic_load((_Atomic uint64_t *)memory.address);
}

void engine_signal(struct engine *engine, struct gpu *gpu, uint64_t value)
{
	VkCommandBuffer commands = gpu_begin(gpu);
	int r = fbk_vk_signal_record(engine->signal, commands, value);
	ck_assert_msg(r == 0, "fbk_vk_signal_record: %s", fbk_vk_error_detail());
	gpu_submit(gpu, commands, VK_NULL_HANDLE, 0);
}
