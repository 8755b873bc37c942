// SPDX-License-Identifier: MIT
/*
 * A Vulkan device draws. A frame has at most three command buffers: one erases the picture's number, one
 * draws it, and the signal is in that one or its own. After the submission no code of this process runs
 * between the end of the drawing and the point.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "gpu-picture.h"
#include "gpu-scene.h"
#include "painter.h"

#define SLOTS_MAX 8 /* at most one per picture */

enum { MARK, DRAW, SIGNAL, BUFFERS };

/* A frame under way. */
struct slot {
	VkCommandPool pool;
	VkCommandBuffer buffers[BUFFERS];
	VkFence fence; /* of DRAW */
	uint64_t frame;
	bool busy;
};

struct painter {
	const struct options *options;
	size_t count;
	struct gpu gpu;
	struct gpu_scene *scene;
	struct gpu_pictures *pictures;
	struct slot slots[SLOTS_MAX];
	struct stage *stage; /* set from meet() on, like the fields below */
	struct lane *drawn;
	struct fbk_vk_signal *signal;

	/* if the device can report timestamps */
	VkQueryPool queries; /* one query per slot */
	struct fbk_vk_buffer board;
	struct board_clock clock; /* ticks and ns change */
	PFN_vkGetCalibratedTimestampsEXT calibrate;
};

static const char *const extensions[] = { VK_EXT_CALIBRATED_TIMESTAMPS_EXTENSION_NAME, NULL };

/* ------------------------------------------------------------------------------------ slots -- */

static int slot_create(struct painter *painter, struct slot *slot)
{
	struct gpu *gpu = &painter->gpu;
	const VkCommandPoolCreateInfo pool = {
		.sType = VK_STRUCTURE_TYPE_COMMAND_POOL_CREATE_INFO,
		.queueFamilyIndex = gpu->family,
	};
	const VkFenceCreateInfo fence = { .sType = VK_STRUCTURE_TYPE_FENCE_CREATE_INFO };
	int r = GPU_CALL(gpu, vkCreateCommandPool, &pool, NULL, &slot->pool);
	const VkCommandBufferAllocateInfo buffers = {
		.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_ALLOCATE_INFO,
		.commandPool = slot->pool,
		.commandBufferCount = BUFFERS,
	};
	if (r == 0) {
		r = GPU_CALL(gpu, vkAllocateCommandBuffers, &buffers, slot->buffers);
	}
	return r < 0 ? r : GPU_CALL(gpu, vkCreateFence, &fence, NULL, &slot->fence);
}

/* Waits for the slot's last frame and empties it; once per frame. */
static int slot_ready(struct painter *painter, struct slot *slot, uint64_t frame)
{
	struct gpu *gpu = &painter->gpu;
	int r = 0;
	if (slot->frame == frame) {
		return 0;
	}
	if (slot->busy) {
		r = GPU_CALL(gpu, vkWaitForFences, 1, &slot->fence, VK_TRUE,
			     painter->options->deadline_ms * NS_PER_MS);
	}
	if (r == 0 && slot->busy) {
		r = GPU_CALL(gpu, vkResetFences, 1, &slot->fence);
	}
	if (r == 0) {
		slot->busy = false;
		slot->frame = frame;
		r = GPU_CALL(gpu, vkResetCommandPool, slot->pool, 0);
	}
	return r;
}

static int commands_begin(struct painter *painter, size_t index, uint64_t frame, int which,
			  VkCommandBuffer *ret_commands)
{
	const VkCommandBufferBeginInfo info = {
		.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO,
		.flags = VK_COMMAND_BUFFER_USAGE_ONE_TIME_SUBMIT_BIT,
	};
	struct slot *slot = &painter->slots[index];
	int r = slot_ready(painter, slot, frame);
	if (r < 0) {
		return r;
	}
	*ret_commands = slot->buffers[which];
	return fbk_vk_check(painter->gpu.vk,
			    painter->gpu.vkBeginCommandBuffer(*ret_commands, &info),
			    "vkBeginCommandBuffer");
}

static int commands_submit(struct painter *painter, VkCommandBuffer commands, VkFence fence)
{
	struct gpu *gpu = &painter->gpu;
	const VkSubmitInfo info = {
		.sType = VK_STRUCTURE_TYPE_SUBMIT_INFO,
		.commandBufferCount = 1,
		.pCommandBuffers = &commands,
	};
	int r = fbk_vk_check(gpu->vk, gpu->vkEndCommandBuffer(commands), "vkEndCommandBuffer");
	return r < 0 ? r
		     : fbk_vk_check(gpu->vk, gpu->vkQueueSubmit(gpu->queue, 1, &info, fence),
				    "vkQueueSubmit");
}

/* ------------------------------------------------------------------------------------- time -- */

static bool domain_offered(struct painter *painter)
{
	const struct fbk_vk_handles *handles = fbk_vk_handles(painter->gpu.vk);
	VkTimeDomainEXT domains[8];
	uint32_t count = sizeof(domains) / sizeof(domains[0]);
	PFN_vkGetPhysicalDeviceCalibrateableTimeDomainsEXT list =
		(PFN_vkGetPhysicalDeviceCalibrateableTimeDomainsEXT)(void *)handles->get(
			handles->instance, "vkGetPhysicalDeviceCalibrateableTimeDomainsEXT");
	list(handles->physical, &count, domains);
	for (uint32_t i = 0; i < count; i++) {
		if (domains[i] == VK_TIME_DOMAIN_CLOCK_MONOTONIC_EXT) {
			return true;
		}
	}
	return false;
}

/* Without it a point counts as signalled at its submission. */
static bool clock_find(struct painter *painter)
{
	struct gpu *gpu = &painter->gpu;
	const struct fbk_vk_handles *handles = fbk_vk_handles(gpu->vk);
	VkQueueFamilyProperties families[16];
	VkPhysicalDeviceProperties properties;
	uint32_t count = sizeof(families) / sizeof(families[0]);
	if (!fbk_vk_has_extension(gpu->vk, extensions[0]) || !domain_offered(painter)) {
		return false;
	}
	gpu->vkGetPhysicalDeviceQueueFamilyProperties(gpu->physical, &count, families);
	gpu->vkGetPhysicalDeviceProperties(gpu->physical, &properties);
	painter->clock.bits = families[gpu->family].timestampValidBits;
	painter->clock.ns_per_tick = (double)properties.limits.timestampPeriod;
	PFN_vkGetDeviceProcAddr get = (PFN_vkGetDeviceProcAddr)(void *)handles->get(
		handles->instance, "vkGetDeviceProcAddr");
	painter->calibrate = (PFN_vkGetCalibratedTimestampsEXT)(void *)get(
		handles->device, "vkGetCalibratedTimestampsEXT");
	return painter->clock.bits > 0 && painter->calibrate;
}

/* Imports the board, where the device writes its timestamps, like the pictures. */
static int clock_create(struct painter *painter)
{
	const VkQueryPoolCreateInfo info = {
		.sType = VK_STRUCTURE_TYPE_QUERY_POOL_CREATE_INFO,
		.queryType = VK_QUERY_TYPE_TIMESTAMP,
		.queryCount = (uint32_t)painter->count,
	};
	const struct fbk_vk_memory memory = {
		.struct_size = sizeof(struct fbk_vk_memory),
		.address = painter->drawn->board.shared.memory,
		.size = painter->drawn->board.shared.size,
		.dmabuf_fd = -1,
		.usage = VK_BUFFER_USAGE_TRANSFER_DST_BIT,
	};
	if (!clock_find(painter)) {
		return 0;
	}
	int r = fbk_vk_buffer_import(painter->gpu.vk, &memory, &painter->board);
	return r < 0 ? r
		     : GPU_CALL(&painter->gpu, vkCreateQueryPool, &info, NULL, &painter->queries);
}

/* Records a timestamp of the end, for the board. */
static int clock_record(struct painter *painter, VkCommandBuffer commands, size_t index,
			uint64_t frame)
{
	struct gpu *gpu = &painter->gpu;
	const VkCalibratedTimestampInfoEXT clocks[] = {
		{ .sType = VK_STRUCTURE_TYPE_CALIBRATED_TIMESTAMP_INFO_EXT,
		  .timeDomain = VK_TIME_DOMAIN_DEVICE_EXT },
		{ .sType = VK_STRUCTURE_TYPE_CALIBRATED_TIMESTAMP_INFO_EXT,
		  .timeDomain = VK_TIME_DOMAIN_CLOCK_MONOTONIC_EXT },
	};
	uint64_t now[2], deviation;
	uint32_t query = (uint32_t)index;
	if (!painter->queries) {
		board_note(&painter->drawn->board, frame);
		return 0;
	}
	int r = fbk_vk_check(gpu->vk, painter->calibrate(gpu->device, 2, clocks, now, &deviation),
			     "vkGetCalibratedTimestampsEXT");
	if (r < 0) {
		return r;
	}
	painter->clock.ticks = now[0];
	painter->clock.ns = now[1];
	size_t offset = board_expect(&painter->drawn->board, frame, &painter->clock);
	gpu->vkCmdResetQueryPool(commands, painter->queries, query, 1);
	gpu->vkCmdWriteTimestamp(commands, VK_PIPELINE_STAGE_BOTTOM_OF_PIPE_BIT, painter->queries,
				 query);
	gpu->vkCmdCopyQueryPoolResults(commands, painter->queries, query, 1, painter->board.buffer,
				       offset, sizeof(uint64_t),
				       VK_QUERY_RESULT_64_BIT | VK_QUERY_RESULT_WAIT_BIT);
	return 0;
}

/* ----------------------------------------------------------------------------------- frames -- */

static int failed(struct painter *painter, int error)
{
	return error < 0 ? stage_stop(painter->stage, error, "drawing", "%s", fbk_vk_error_detail())
			 : 0;
}

static int mark(struct painter *painter, size_t index, uint64_t frame)
{
	VkCommandBuffer commands;
	int r = commands_begin(painter, index, frame, MARK, &commands);
	if (r < 0) {
		return r;
	}
	gpu_pictures_record_mark(painter->pictures, commands, index);
	return commands_submit(painter, commands, VK_NULL_HANDLE);
}

static int draw(struct painter *painter, size_t index, uint64_t frame, bool signal)
{
	VkCommandBuffer commands;
	int r = commands_begin(painter, index, frame, DRAW, &commands);
	if (r < 0) {
		return r;
	}
	gpu_scene_record(painter->scene, commands, (uint32_t)frame);
	gpu_pictures_record(painter->pictures, commands, index, (uint32_t)frame);
	if (signal) {
		r = clock_record(painter, commands, index, frame);
	}
	if (r == 0 && signal) {
		r = fbk_vk_signal_record(painter->signal, commands, frame);
	}
	if (r == 0) {
		struct slot *slot = &painter->slots[index];
		r = commands_submit(painter, commands, slot->fence);
		slot->busy = r == 0;
	}
	return r;
}

static int vulkan_begin(struct painter *painter, size_t index, uint64_t frame)
{
	return failed(painter, mark(painter, index, frame));
}

static int vulkan_draw(struct painter *painter, size_t index, uint64_t frame, bool signal)
{
	int r = failed(painter, draw(painter, index, frame, signal));
	painter->stage->stats.device_signals += r == 0 && signal ? 1 : 0;
	return r;
}

static int vulkan_signal(struct painter *painter, size_t index, uint64_t frame)
{
	VkCommandBuffer commands;
	int r = commands_begin(painter, index, frame, SIGNAL, &commands);
	if (r == 0) {
		board_note(&painter->drawn->board, frame);
		r = fbk_vk_signal_record(painter->signal, commands, frame);
	}
	if (r == 0) {
		r = commands_submit(painter, commands, VK_NULL_HANDLE);
	}
	painter->stage->stats.device_signals += r == 0 ? 1 : 0;
	return failed(painter, r);
}

/* Drivers compile at the first use, which would delay the waiters: so draw and signal frame 0 before any
 * consumer waits. */
static int warm_up(struct painter *painter, bool signal)
{
	int r = mark(painter, 0, 0);
	if (r == 0) {
		r = draw(painter, 0, 0, signal);
	}
	painter->slots[0].frame = UINT64_MAX; /* for the next frame 0 */
	return r < 0 ? r
		     : fbk_vk_check(painter->gpu.vk,
				    painter->gpu.vkDeviceWaitIdle(painter->gpu.device),
				    "vkDeviceWaitIdle");
}

/* ---------------------------------------------------------------------------------- painter -- */

static void vulkan_close(struct painter *painter)
{
	if (!painter) {
		return;
	}
	struct gpu *gpu = &painter->gpu;
	if (gpu->vk) {
		gpu->vkDeviceWaitIdle(gpu->device);
		gpu->vkDestroyQueryPool(gpu->device, painter->queries, NULL);
		fbk_vk_buffer_release(gpu->vk, &painter->board);
		fbk_vk_signal_destroy(painter->signal);
		for (size_t i = 0; i < painter->count; i++) {
			gpu->vkDestroyFence(gpu->device, painter->slots[i].fence, NULL);
			gpu->vkDestroyCommandPool(gpu->device, painter->slots[i].pool, NULL);
		}
		gpu_pictures_destroy(painter->pictures);
		gpu_scene_destroy(painter->scene);
	}
	gpu_close(gpu);
	free(painter);
}

static int painter_start(struct painter *painter, const struct shared *pictures, unsigned int skip)
{
	const struct options *options = painter->options;
	struct gpu *gpu = &painter->gpu;
	int r = gpu_open(gpu, extensions, skip);
	if (r == 0) {
		r = gpu_scene_create(gpu, options->width, options->height, &painter->scene);
	}
	if (r == 0) {
		r = gpu_pictures_create(gpu, gpu_scene_image(painter->scene), options->width,
					options->height, pictures, painter->count,
					&painter->pictures);
	}
	for (size_t i = 0; r == 0 && i < painter->count; i++) {
		painter->slots[i].frame = UINT64_MAX;
		r = slot_create(painter, &painter->slots[i]);
	}
	return r < 0 ? r : warm_up(painter, false);
}

static int open_device(const struct options *options, const struct shared *pictures, size_t count,
		       unsigned int skip, struct painter **ret_painter)
{
	struct painter *painter = calloc(1, sizeof(*painter));
	if (!painter || count > SLOTS_MAX) {
		free(painter);
		return -ENOMEM;
	}
	painter->options = options;
	painter->count = count;
	int r = painter_start(painter, pictures, skip);
	if (r < 0) {
		vulkan_close(painter);
		return r;
	}
	*ret_painter = painter;
	return 0;
}

/* Tries the devices in turn until one takes the pictures; `error` says why the first did not. */
static int vulkan_open(const struct options *options, const struct shared *pictures, size_t count,
		       struct painter **ret_painter, char *error, size_t error_size)
{
	int r = open_device(options, pictures, count, 0, ret_painter);
	if (r < 0) {
		snprintf(error, error_size, "%s",
			 r == -ENOMEM ? strerror(ENOMEM) : fbk_vk_error_detail());
	}
	int first = r;
	for (unsigned int skip = 1; r < 0 && r != -ENOENT && r != -ENOMEM; skip++) {
		r = open_device(options, pictures, count, skip, ret_painter);
	}
	return r == -ENOENT ? first : r;
}

static const char *vulkan_name(const struct painter *painter)
{
	return fbk_vk_name(painter->gpu.vk);
}

static bool vulkan_software(const struct painter *painter)
{
	return fbk_vk_software(painter->gpu.vk);
}

static void vulkan_describe(const struct painter *painter, struct fbk_device_desc *ret_desc)
{
	/* the pictures are imported by now, so every alignment works */
	ret_desc->struct_size = sizeof(*ret_desc);
	fbk_vk_describe(painter->gpu.vk, NULL, ret_desc);
}

static int vulkan_meet(struct painter *painter, struct stage *stage, struct lane *drawn)
{
	painter->stage = stage;
	painter->drawn = drawn;
	int r = fbk_vk_signal_create(painter->gpu.vk, drawn->timeline, FBK_VK_WAY_BEST,
				     &painter->signal);
	if (r == 0) {
		r = clock_create(painter);
	}
	return failed(painter, r < 0 ? r : warm_up(painter, true));
}

const struct painter_kind painter_vulkan = {
	.open = vulkan_open,
	.close = vulkan_close,
	.name = vulkan_name,
	.software = vulkan_software,
	.describe = vulkan_describe,
	.meet = vulkan_meet,
	.begin = vulkan_begin,
	.draw = vulkan_draw,
	.signal = vulkan_signal,
};
