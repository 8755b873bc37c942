// SPDX-License-Identifier: MIT
#include "gpu-picture.h"

#include <stdlib.h>

#include "glyph.h"
#include "picture.h"
#include "stamp.h"

#include "picture_comp.spv.h"

#define PICTURES_MAX 8
#define GROUP_WIDTH  64 /* pixels that a workgroup of picture.comp writes */
#define GROUP_HEIGHT 16
#define NO_COLOUR    0x80808080 /* neither black nor white for the stamp */

/* The bindings of picture.comp. */
enum { IMAGE, PICTURE, GLYPHS, BINDINGS };

/* picture.comp */
struct constants {
	int32_t width, height;
	uint32_t luma_stride, chroma_stride, u_start, v_start; /* in words */
	uint32_t stamp_columns, stamp_high, stamp_low;
	uint32_t number;
	int32_t glyph_x, glyph_y, glyph_block, glyph_shadow, glyph_count;
};

struct gpu_pictures {
	struct gpu *gpu;
	uint32_t width, height;
	struct fbk_vk_buffer buffers[PICTURES_MAX];
	struct gpu_buffer glyphs;
	VkDescriptorSetLayout set_layout;
	VkDescriptorPool pool;
	VkDescriptorSet sets[PICTURES_MAX]; /* one per picture */
	VkPipelineLayout layout;
	VkPipeline pipeline;
};

static int buffers_import(struct gpu_pictures *pictures, const struct shared *shared, size_t count)
{
	int r = 0;
	for (size_t i = 0; r == 0 && i < count; i++) {
		const struct fbk_vk_memory memory = {
			.struct_size = sizeof(struct fbk_vk_memory),
			.address = shared[i].memory,
			.size = shared[i].size,
			.dmabuf_fd = -1,
			.usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT |
				 VK_BUFFER_USAGE_TRANSFER_DST_BIT,
		};
		r = fbk_vk_buffer_import(pictures->gpu->vk, &memory, &pictures->buffers[i]);
	}
	return r;
}

static int glyphs_upload(struct gpu_pictures *pictures)
{
	uint32_t rows[10 * GLYPH_ROWS];
	for (unsigned int i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		rows[i] = glyph_row(i / GLYPH_ROWS, i % GLYPH_ROWS);
	}
	return gpu_buffer_create(pictures->gpu, rows, sizeof(rows),
				 VK_BUFFER_USAGE_STORAGE_BUFFER_BIT, &pictures->glyphs);
}

static const VkDescriptorType binding_types[BINDINGS] = {
	[IMAGE] = VK_DESCRIPTOR_TYPE_SAMPLED_IMAGE,
	[PICTURE] = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
	[GLYPHS] = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
};

static int sets_create(struct gpu_pictures *pictures, size_t count)
{
	struct gpu *gpu = pictures->gpu;
	VkDescriptorSetLayoutBinding bindings[BINDINGS];
	VkDescriptorSetLayout layouts[PICTURES_MAX];
	const VkDescriptorPoolSize sizes[] = {
		{ VK_DESCRIPTOR_TYPE_SAMPLED_IMAGE, (uint32_t)count },
		{ VK_DESCRIPTOR_TYPE_STORAGE_BUFFER, 2 * (uint32_t)count },
	};
	const VkDescriptorPoolCreateInfo pool = {
		.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO,
		.maxSets = (uint32_t)count,
		.poolSizeCount = 2,
		.pPoolSizes = sizes,
	};
	for (uint32_t i = 0; i < BINDINGS; i++) {
		bindings[i] = (VkDescriptorSetLayoutBinding){
			.binding = i,
			.descriptorType = binding_types[i],
			.descriptorCount = 1,
			.stageFlags = VK_SHADER_STAGE_COMPUTE_BIT,
		};
	}
	const VkDescriptorSetLayoutCreateInfo layout = {
		.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO,
		.bindingCount = BINDINGS,
		.pBindings = bindings,
	};
	int r = GPU_CALL(gpu, vkCreateDescriptorSetLayout, &layout, NULL, &pictures->set_layout);
	if (r == 0) {
		r = GPU_CALL(gpu, vkCreateDescriptorPool, &pool, NULL, &pictures->pool);
	}
	for (size_t i = 0; i < count; i++) {
		layouts[i] = pictures->set_layout;
	}
	const VkDescriptorSetAllocateInfo sets = {
		.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO,
		.descriptorPool = pictures->pool,
		.descriptorSetCount = (uint32_t)count,
		.pSetLayouts = layouts,
	};
	return r < 0 ? r : GPU_CALL(gpu, vkAllocateDescriptorSets, &sets, pictures->sets);
}

static void sets_fill(struct gpu_pictures *pictures, VkImageView view, size_t count)
{
	const VkDescriptorImageInfo image = {
		.imageView = view,
		.imageLayout = VK_IMAGE_LAYOUT_SHADER_READ_ONLY_OPTIMAL,
	};
	for (size_t i = 0; i < count; i++) {
		const VkDescriptorBufferInfo buffers[BINDINGS] = {
			[PICTURE] = { pictures->buffers[i].buffer, 0, VK_WHOLE_SIZE },
			[GLYPHS] = { pictures->glyphs.buffer, 0, VK_WHOLE_SIZE },
		};
		VkWriteDescriptorSet writes[BINDINGS];
		for (uint32_t j = 0; j < BINDINGS; j++) {
			writes[j] = (VkWriteDescriptorSet){
				.sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
				.dstSet = pictures->sets[i],
				.dstBinding = j,
				.descriptorCount = 1,
				.descriptorType = binding_types[j],
				.pImageInfo = &image,
				.pBufferInfo = &buffers[j],
			};
		}
		pictures->gpu->vkUpdateDescriptorSets(pictures->gpu->device, BINDINGS, writes, 0,
						      NULL);
	}
}

static int pipeline_create(struct gpu_pictures *pictures)
{
	struct gpu *gpu = pictures->gpu;
	const VkPushConstantRange range = {
		.stageFlags = VK_SHADER_STAGE_COMPUTE_BIT,
		.size = sizeof(struct constants),
	};
	const VkPipelineLayoutCreateInfo layout = {
		.sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO,
		.setLayoutCount = 1,
		.pSetLayouts = &pictures->set_layout,
		.pushConstantRangeCount = 1,
		.pPushConstantRanges = &range,
	};
	VkComputePipelineCreateInfo info = {
		.sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
		.stage = { .sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
			   .stage = VK_SHADER_STAGE_COMPUTE_BIT,
			   .pName = "main" },
	};
	int r = GPU_CALL(gpu, vkCreatePipelineLayout, &layout, NULL, &pictures->layout);
	if (r == 0) {
		r = gpu_shader_create(gpu, picture_comp_spirv, sizeof(picture_comp_spirv),
				      &info.stage.module);
	}
	if (r == 0) {
		info.layout = pictures->layout;
		r = GPU_CALL(gpu, vkCreateComputePipelines, VK_NULL_HANDLE, 1, &info, NULL,
			     &pictures->pipeline);
		gpu->vkDestroyShaderModule(gpu->device, info.stage.module, NULL);
	}
	return r;
}

int gpu_pictures_create(struct gpu *gpu, VkImageView image, uint32_t width, uint32_t height,
			const struct shared *shared, size_t count,
			struct gpu_pictures **ret_pictures)
{
	struct gpu_pictures *pictures = calloc(1, sizeof(*pictures));
	if (!pictures || count > PICTURES_MAX) {
		free(pictures);
		return fbk_vk_check(gpu->vk, VK_ERROR_OUT_OF_HOST_MEMORY, "the pictures");
	}
	pictures->gpu = gpu;
	pictures->width = width;
	pictures->height = height;
	int r = buffers_import(pictures, shared, count);
	if (r == 0) {
		r = glyphs_upload(pictures);
	}
	if (r == 0) {
		r = sets_create(pictures, count);
	}
	if (r == 0) {
		sets_fill(pictures, image, count);
		r = pipeline_create(pictures);
	}
	if (r < 0) {
		gpu_pictures_destroy(pictures);
		return r;
	}
	*ret_pictures = pictures;
	return 0;
}

void gpu_pictures_destroy(struct gpu_pictures *pictures)
{
	if (!pictures) {
		return;
	}
	struct gpu *gpu = pictures->gpu;
	gpu->vkDestroyPipeline(gpu->device, pictures->pipeline, NULL);
	gpu->vkDestroyPipelineLayout(gpu->device, pictures->layout, NULL);
	gpu->vkDestroyDescriptorPool(gpu->device, pictures->pool, NULL);
	gpu->vkDestroyDescriptorSetLayout(gpu->device, pictures->set_layout, NULL);
	gpu_buffer_destroy(gpu, &pictures->glyphs);
	for (size_t i = 0; i < PICTURES_MAX; i++) {
		fbk_vk_buffer_release(gpu->vk, &pictures->buffers[i]);
	}
	free(pictures);
}

/* The offsets of its planes in the buffer, as a picture at address 0. */
static struct picture layout_of(const struct gpu_pictures *pictures)
{
	return picture_at(NULL, pictures->width, pictures->height);
}

void gpu_pictures_record_mark(const struct gpu_pictures *pictures, VkCommandBuffer commands,
			      size_t index)
{
	struct picture layout = layout_of(pictures);
	pictures->gpu->vkCmdFillBuffer(commands, pictures->buffers[index].buffer, 0,
				       stamp_height(pictures->width) * layout.strides[0],
				       NO_COLOUR);
}

static struct constants constants_of(const struct gpu_pictures *pictures, uint32_t number)
{
	struct picture layout = layout_of(pictures);
	uint64_t bits = stamp_bits(number);
	struct glyph_place glyphs = glyph_place(pictures->width, pictures->height,
						stamp_height(pictures->width), number);
	return (struct constants){
		.width = (int32_t)pictures->width,
		.height = (int32_t)pictures->height,
		.luma_stride = (uint32_t)(layout.strides[0] / sizeof(uint32_t)),
		.chroma_stride = (uint32_t)(layout.strides[1] / sizeof(uint32_t)),
		.u_start = (uint32_t)((uintptr_t)layout.planes[1] / sizeof(uint32_t)),
		.v_start = (uint32_t)((uintptr_t)layout.planes[2] / sizeof(uint32_t)),
		.stamp_columns = stamp_columns(pictures->width),
		.stamp_high = (uint32_t)(bits >> 32),
		.stamp_low = (uint32_t)bits,
		.number = number,
		.glyph_x = (int32_t)glyphs.x,
		.glyph_y = (int32_t)glyphs.y,
		.glyph_block = (int32_t)glyphs.block,
		.glyph_shadow = (int32_t)glyphs.shift,
		.glyph_count = (int32_t)glyphs.count,
	};
}

void gpu_pictures_record(const struct gpu_pictures *pictures, VkCommandBuffer commands,
			 size_t index, uint32_t number)
{
	struct gpu *gpu = pictures->gpu;
	const struct constants constants = constants_of(pictures, number);
	const VkMemoryBarrier marked = {
		.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER,
		.srcAccessMask = VK_ACCESS_TRANSFER_WRITE_BIT,
		.dstAccessMask = VK_ACCESS_SHADER_WRITE_BIT,
	};
	gpu->vkCmdPipelineBarrier(commands, VK_PIPELINE_STAGE_TRANSFER_BIT,
				  VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT, 0, 1, &marked, 0, NULL, 0,
				  NULL);
	gpu->vkCmdBindPipeline(commands, VK_PIPELINE_BIND_POINT_COMPUTE, pictures->pipeline);
	gpu->vkCmdBindDescriptorSets(commands, VK_PIPELINE_BIND_POINT_COMPUTE, pictures->layout, 0,
				     1, &pictures->sets[index], 0, NULL);
	gpu->vkCmdPushConstants(commands, pictures->layout, VK_SHADER_STAGE_COMPUTE_BIT, 0,
				sizeof(constants), &constants);
	gpu->vkCmdDispatch(commands, (pictures->width + GROUP_WIDTH - 1) / GROUP_WIDTH,
			   (pictures->height + GROUP_HEIGHT - 1) / GROUP_HEIGHT, 1);
}
