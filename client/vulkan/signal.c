// SPDX-License-Identifier: MIT
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "vulkan.h"

/* ---------------------------------------------------------------------------------- imports -- */

static void page_put(struct fbk_vk *vk, struct page *page)
{
	pthread_mutex_lock(&vk->pages_lock);
	if (--page->refs == 0) {
		LIST_REMOVE(page, links);
		vk->procs.vkDestroyDescriptorPool(vk->handles.device, page->pool, NULL);
		fbk_vk_buffer_release(vk, &page->buffer);
		free(page);
	}
	pthread_mutex_unlock(&vk->pages_lock);
}

static int page_import(struct fbk_vk *vk, struct page *page, size_t size, int dmabuf_fd)
{
	const struct fbk_vk_memory memory = {
		.struct_size = sizeof(struct fbk_vk_memory),
		.address = (void *)(uintptr_t)page->start,
		.size = size,
		.dmabuf_fd = dmabuf_fd,
		.usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT,
	};
	int r = fbk_vk_buffer_import(vk, &memory, &page->buffer);
	if (r == 0 && vk->pipeline) {
		r = store_bind(vk, page->buffer.buffer, &page->pool, &page->set);
	}
	return r;
}

/* Under pages_lock. */
static struct page *page_find(struct fbk_vk *vk, const void *start)
{
	struct page *page;
	LIST_FOREACH(page, &vk->pages, links) {
		if (page->start == start) {
			return page;
		}
	}
	page = calloc(1, sizeof(*page));
	if (page) {
		page->start = start;
		LIST_INSERT_HEAD(&vk->pages, page, links);
	}
	return page;
}

/* One import for all timelines on a page: a driver may refuse to import the same memory twice. */
static int page_get(struct fbk_vk *vk, const void *start, size_t size, int dmabuf_fd,
		    struct page **ret_page)
{
	pthread_mutex_lock(&vk->pages_lock);
	struct page *page = page_find(vk, start);
	int r = page ? 0 : vk_error_set(-ENOMEM, "out of memory");
	if (page && page->refs++ == 0) {
		r = page_import(vk, page, size, dmabuf_fd);
	}
	pthread_mutex_unlock(&vk->pages_lock);
	if (r < 0 && page) {
		page_put(vk, page);
	}
	if (r == 0) {
		*ret_page = page;
	}
	return r;
}

static int memory_of(struct fbk_vk *vk, struct fbk_timeline *timeline,
		     struct fbk_memory *ret_memory, int *ret_dmabuf_fd)
{
	*ret_dmabuf_fd = -1;
	if (vk->handles.abilities & FBK_VK_ABILITY_DMA_BUF &&
	    fbk_timeline_memory(timeline, ret_memory, ret_dmabuf_fd) == 0) {
		return 0;
	}
	int r = fbk_timeline_memory(timeline, ret_memory, NULL);
	return r < 0 ? vk_error_core(r) : 0;
}

static int signal_import(struct fbk_vk_signal *signal)
{
	struct fbk_vk *vk = signal->vk;
	struct fbk_memory memory = { .struct_size = sizeof(memory) };
	int dmabuf_fd;
	int r = memory_of(vk, signal->timeline, &memory, &dmabuf_fd);
	if (r < 0) {
		return r;
	}
	signal->offset = memory.offset;
	signal->narrow = memory.size == sizeof(uint32_t);
	r = page_get(vk, (char *)memory.address - memory.offset, memory.page_size, dmabuf_fd,
		     &signal->page);
	if (dmabuf_fd >= 0) {
		close(dmabuf_fd);
	}
	return r;
}

/* ------------------------------------------------------------------------------------- ways -- */

static void record_marker(const struct fbk_vk_signal *signal, VkCommandBuffer commands,
			  uint64_t value)
{
	signal->vk->procs.vkCmdWriteBufferMarkerAMD(commands, VK_PIPELINE_STAGE_TRANSFER_BIT,
						    signal->page->buffer.buffer, signal->offset,
						    (uint32_t)value);
}

static void record_update(const struct fbk_vk_signal *signal, VkCommandBuffer commands,
			  uint64_t value)
{
	const uint32_t half = (uint32_t)value;
	signal->vk->procs.vkCmdUpdateBuffer(commands, signal->page->buffer.buffer, signal->offset,
					    sizeof(half), &half);
}

/* Barriers name this stage and access. */
static const struct signal_way {
	uint32_t ability; /* 0: every device */
	bool wide;        /* writes 64 bits */
	VkPipelineStageFlags stage;
	VkAccessFlags access;
	void (*record)(const struct fbk_vk_signal *signal, VkCommandBuffer commands,
		       uint64_t value);
	const char *name;
} signal_ways[] = {
	[FBK_VK_WAY_STORE] = { FBK_VK_ABILITY_STORE64, true, VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT,
			       VK_ACCESS_SHADER_WRITE_BIT, store_record, "a store of 64 bits" },
	[FBK_VK_WAY_MARKER] = { FBK_VK_ABILITY_MARKERS, false, VK_PIPELINE_STAGE_TRANSFER_BIT,
				VK_ACCESS_TRANSFER_WRITE_BIT, record_marker, "a marker" },
	[FBK_VK_WAY_UPDATE] = { 0, false, VK_PIPELINE_STAGE_TRANSFER_BIT,
				VK_ACCESS_TRANSFER_WRITE_BIT, record_update, "an update" },
};
#define SIGNAL_WAYS (sizeof(signal_ways) / sizeof(signal_ways[0]))

static bool way_fits(const struct fbk_vk_signal *signal, enum fbk_vk_way way)
{
	uint32_t ability = signal_ways[way].ability;
	return (signal->vk->handles.abilities & ability) == ability &&
	       !(signal_ways[way].wide && signal->narrow);
}

static int way_choose(struct fbk_vk_signal *signal, enum fbk_vk_way way)
{
	if ((unsigned int)way >= SIGNAL_WAYS) {
		return vk_error_set(-EINVAL, "%u is not a way to signal", way);
	}
	for (unsigned int i = FBK_VK_WAY_STORE; way == FBK_VK_WAY_BEST && i < SIGNAL_WAYS; i++) {
		way = way_fits(signal, i) ? i : way;
	}
	if (!way_fits(signal, way)) {
		return vk_error_set(-EOPNOTSUPP, "%s can't signal %d bits by %s%s%s",
				    signal->vk->name, signal->narrow ? 32 : 64,
				    signal_ways[way].name, signal->narrow ? "" : ": it lacks ",
				    signal->narrow ? "" : ability_needs(signal_ways[way].ability));
	}
	signal->way = way;
	return 0;
}

/* ---------------------------------------------------------------------------------- signals -- */

int fbk_vk_signal_create(struct fbk_vk *vk, struct fbk_timeline *timeline, enum fbk_vk_way way,
			 struct fbk_vk_signal **ret_signal)
{
	struct fbk_vk_signal *signal = calloc(1, sizeof(*signal));
	if (!signal) {
		return vk_error_set(-ENOMEM, "out of memory");
	}
	signal->vk = vk;
	signal->timeline = timeline;
	int r = signal_import(signal);
	if (r < 0) {
		free(signal);
		return r;
	}
	r = way_choose(signal, way);
	pthread_mutex_lock(&vk->signals_lock);
	LIST_INSERT_HEAD(&vk->signals, signal, links);
	if (r == 0 && vk->lost) {
		r = vk_error_set(-EIO, "the Vulkan device %s was lost", vk->name);
	}
	pthread_mutex_unlock(&vk->signals_lock);
	if (r < 0) {
		fbk_vk_signal_destroy(signal);
		return r;
	}
	*ret_signal = signal;
	return 0;
}

void fbk_vk_signal_destroy(struct fbk_vk_signal *signal)
{
	if (!signal) {
		return;
	}
	pthread_mutex_lock(&signal->vk->signals_lock);
	LIST_REMOVE(signal, links);
	pthread_mutex_unlock(&signal->vk->signals_lock);
	page_put(signal->vk, signal->page);
	free(signal);
}

enum fbk_vk_way fbk_vk_signal_way(const struct fbk_vk_signal *signal)
{
	return signal->way;
}

int fbk_vk_signal_record(struct fbk_vk_signal *signal, VkCommandBuffer commands, uint64_t value)
{
	const struct signal_way *way = &signal_ways[signal->way];
	if (value > FBK_POINT_MAX) {
		return vk_error_set(-ERANGE, "%llu is not a point: points are 1 to 2^62 - 1",
				    (unsigned long long)value);
	}
	if (!way->wide && !signal->narrow && value > UINT32_MAX) {
		return vk_error_set(-ERANGE,
				    "%llu needs more than the 32 bits that %s writes whole: use "
				    "FBK_VK_WAY_STORE, or a timeline of FBK_FENCE_MEMORY32",
				    (unsigned long long)value, way->name);
	}
	const VkMemoryBarrier before = {
		.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
		.srcAccessMask = VK_ACCESS_MEMORY_WRITE_BIT,
		.dstAccessMask = VK_ACCESS_HOST_READ_BIT | way->access,
	};
	const VkMemoryBarrier after = {
		.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
		.srcAccessMask = way->access,
		.dstAccessMask = VK_ACCESS_HOST_READ_BIT,
	};
	signal->vk->procs.vkCmdPipelineBarrier(commands, VK_PIPELINE_STAGE_ALL_COMMANDS_BIT,
					       VK_PIPELINE_STAGE_HOST_BIT | way->stage, 0, 1,
					       &before, 0, NULL, 0, NULL);
	way->record(signal, commands, value);
	signal->vk->procs.vkCmdPipelineBarrier(commands, way->stage, VK_PIPELINE_STAGE_HOST_BIT, 0,
					       1, &after, 0, NULL, 0, NULL);
	return 0;
}
