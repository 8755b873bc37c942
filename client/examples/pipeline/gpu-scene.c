// SPDX-License-Identifier: MIT
#include "gpu-scene.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "camera.h"
#include "mesh.h"

#include "floor_frag.spv.h"
#include "floor_vert.spv.h"
#include "mesh_frag.spv.h"
#include "mesh_vert.spv.h"
#include "sky_frag.spv.h"
#include "sky_vert.spv.h"

#define COLOUR     VK_FORMAT_R8G8B8A8_UNORM
#define SAMPLES    VK_SAMPLE_COUNT_4_BIT /* where they cost little */
#define SATELLITES 14                    /* scene.glsl */
#define FPS        30.0f                 /* of time in the scene */

/* The attachments of the render pass, in this order. */
enum { RESOLVED, DEPTH, MULTI, IMAGES };

/* scene.glsl */
struct constants {
	float view_projection[16];
	float eye[3];
	float time;
	float mirrored;
	float satellite;
};

enum { SKY, MESH, FLOOR, PIPELINES };

struct gpu_scene {
	struct gpu *gpu;
	uint32_t width, height;
	VkFormat depth_format;
	VkSampleCountFlagBits samples;
	struct gpu_image images[IMAGES]; /* without multisampling the last one is unused */
	VkRenderPass pass;
	VkFramebuffer framebuffer;
	VkPipelineLayout layout;
	VkPipeline pipelines[PIPELINES];
	struct gpu_buffer vertices, indices;
	uint32_t knot_indices, ball_indices;
};

/* ---------------------------------------------------------------------------------- targets -- */

static void formats_choose(struct gpu_scene *scene)
{
	struct gpu *gpu = scene->gpu;
	VkFormatProperties format;
	VkPhysicalDeviceProperties device;
	/* every driver has one of the two */
	gpu->vkGetPhysicalDeviceFormatProperties(gpu->physical, VK_FORMAT_D32_SFLOAT, &format);
	scene->depth_format =
		format.optimalTilingFeatures & VK_FORMAT_FEATURE_DEPTH_STENCIL_ATTACHMENT_BIT
			? VK_FORMAT_D32_SFLOAT
			: VK_FORMAT_X8_D24_UNORM_PACK32;
	gpu->vkGetPhysicalDeviceProperties(gpu->physical, &device);
	scene->samples =
		!fbk_vk_software(gpu->vk) && device.limits.framebufferColorSampleCounts &
						     device.limits.framebufferDepthSampleCounts &
						     SAMPLES
			? SAMPLES
			: VK_SAMPLE_COUNT_1_BIT;
}

static uint32_t image_count(const struct gpu_scene *scene)
{
	return scene->samples == VK_SAMPLE_COUNT_1_BIT ? MULTI : IMAGES;
}

static int images_create(struct gpu_scene *scene)
{
	struct gpu_image_desc desc = {
		.width = scene->width,
		.height = scene->height,
		.format = COLOUR,
		.usage = VK_IMAGE_USAGE_COLOR_ATTACHMENT_BIT | VK_IMAGE_USAGE_SAMPLED_BIT,
		.samples = VK_SAMPLE_COUNT_1_BIT,
		.aspect = VK_IMAGE_ASPECT_COLOR_BIT,
	};
	int r = gpu_image_create(scene->gpu, &desc, &scene->images[RESOLVED]);
	desc.samples = scene->samples;
	desc.usage = VK_IMAGE_USAGE_COLOR_ATTACHMENT_BIT;
	if (r == 0 && image_count(scene) > MULTI) {
		r = gpu_image_create(scene->gpu, &desc, &scene->images[MULTI]);
	}
	desc.format = scene->depth_format;
	desc.usage = VK_IMAGE_USAGE_DEPTH_STENCIL_ATTACHMENT_BIT;
	desc.aspect = VK_IMAGE_ASPECT_DEPTH_BIT;
	return r < 0 ? r : gpu_image_create(scene->gpu, &desc, &scene->images[DEPTH]);
}

static int pass_create(struct gpu_scene *scene)
{
	bool multi = image_count(scene) > MULTI;
	VkAttachmentDescription attachments[IMAGES] = {
		[RESOLVED] = {
			.format = COLOUR,
			.samples = VK_SAMPLE_COUNT_1_BIT,
			.loadOp = VK_ATTACHMENT_LOAD_OP_DONT_CARE, /* the sky covers it */
			.storeOp = VK_ATTACHMENT_STORE_OP_STORE,
			.stencilLoadOp = VK_ATTACHMENT_LOAD_OP_DONT_CARE,
			.stencilStoreOp = VK_ATTACHMENT_STORE_OP_DONT_CARE,
			.finalLayout = VK_IMAGE_LAYOUT_SHADER_READ_ONLY_OPTIMAL,
		},
	};
	attachments[MULTI] = attachments[RESOLVED];
	attachments[MULTI].samples = scene->samples;
	attachments[MULTI].storeOp = VK_ATTACHMENT_STORE_OP_DONT_CARE;
	attachments[MULTI].finalLayout = VK_IMAGE_LAYOUT_COLOR_ATTACHMENT_OPTIMAL;
	attachments[DEPTH] = attachments[MULTI];
	attachments[DEPTH].format = scene->depth_format;
	attachments[DEPTH].loadOp = VK_ATTACHMENT_LOAD_OP_CLEAR;
	attachments[DEPTH].finalLayout = VK_IMAGE_LAYOUT_DEPTH_STENCIL_ATTACHMENT_OPTIMAL;
	const VkAttachmentReference colour = {
		.attachment = multi ? MULTI : RESOLVED,
		.layout = VK_IMAGE_LAYOUT_COLOR_ATTACHMENT_OPTIMAL,
	};
	const VkAttachmentReference resolved = {
		.attachment = RESOLVED,
		.layout = VK_IMAGE_LAYOUT_COLOR_ATTACHMENT_OPTIMAL,
	};
	const VkAttachmentReference depth = {
		.attachment = DEPTH,
		.layout = VK_IMAGE_LAYOUT_DEPTH_STENCIL_ATTACHMENT_OPTIMAL,
	};
	const VkSubpassDescription subpass = {
		.pipelineBindPoint = VK_PIPELINE_BIND_POINT_GRAPHICS,
		.colorAttachmentCount = 1,
		.pColorAttachments = &colour,
		.pResolveAttachments = multi ? &resolved : NULL,
		.pDepthStencilAttachment = &depth,
	};
	const VkSubpassDependency dependencies[] = {
		{ /* the image of the last frame has been read; its depth is free */
		  .srcSubpass = VK_SUBPASS_EXTERNAL,
		  .srcStageMask = VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT |
				  VK_PIPELINE_STAGE_COLOR_ATTACHMENT_OUTPUT_BIT |
				  VK_PIPELINE_STAGE_LATE_FRAGMENT_TESTS_BIT,
		  .srcAccessMask = VK_ACCESS_COLOR_ATTACHMENT_WRITE_BIT |
				   VK_ACCESS_DEPTH_STENCIL_ATTACHMENT_WRITE_BIT,
		  .dstStageMask = VK_PIPELINE_STAGE_COLOR_ATTACHMENT_OUTPUT_BIT |
				  VK_PIPELINE_STAGE_EARLY_FRAGMENT_TESTS_BIT,
		  .dstAccessMask = VK_ACCESS_COLOR_ATTACHMENT_READ_BIT |
				   VK_ACCESS_COLOR_ATTACHMENT_WRITE_BIT |
				   VK_ACCESS_DEPTH_STENCIL_ATTACHMENT_READ_BIT |
				   VK_ACCESS_DEPTH_STENCIL_ATTACHMENT_WRITE_BIT },
		{ .dstSubpass = VK_SUBPASS_EXTERNAL,
		  .srcStageMask = VK_PIPELINE_STAGE_COLOR_ATTACHMENT_OUTPUT_BIT,
		  .srcAccessMask = VK_ACCESS_COLOR_ATTACHMENT_WRITE_BIT,
		  .dstStageMask = VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT,
		  .dstAccessMask = VK_ACCESS_SHADER_READ_BIT },
	};
	const VkRenderPassCreateInfo info = {
		.sType = VK_STRUCTURE_TYPE_RENDER_PASS_CREATE_INFO,
		.attachmentCount = image_count(scene),
		.pAttachments = attachments,
		.subpassCount = 1,
		.pSubpasses = &subpass,
		.dependencyCount = sizeof(dependencies) / sizeof(dependencies[0]),
		.pDependencies = dependencies,
	};
	return GPU_CALL(scene->gpu, vkCreateRenderPass, &info, NULL, &scene->pass);
}

static int framebuffer_create(struct gpu_scene *scene)
{
	VkImageView views[IMAGES];
	for (size_t i = 0; i < IMAGES; i++) {
		views[i] = scene->images[i].view;
	}
	const VkFramebufferCreateInfo info = {
		.sType = VK_STRUCTURE_TYPE_FRAMEBUFFER_CREATE_INFO,
		.renderPass = scene->pass,
		.attachmentCount = image_count(scene),
		.pAttachments = views,
		.width = scene->width,
		.height = scene->height,
		.layers = 1,
	};
	return GPU_CALL(scene->gpu, vkCreateFramebuffer, &info, NULL, &scene->framebuffer);
}

/* -------------------------------------------------------------------------------- pipelines -- */

struct code {
	const uint32_t *words;
	size_t size;
};
#define CODE(words)                  \
	{                            \
		words, sizeof(words) \
	}

static const struct pipeline_desc {
	struct code vertex, fragment;
	bool mesh; /* has vertices, uses depth, no blending */
	VkPrimitiveTopology topology;
	VkBool32 blended, deep;
} pipeline_descs[PIPELINES] = {
	[SKY] = { CODE(sky_vert_spirv), CODE(sky_frag_spirv), false,
		  VK_PRIMITIVE_TOPOLOGY_TRIANGLE_LIST, VK_FALSE, VK_FALSE },
	[MESH] = { CODE(mesh_vert_spirv), CODE(mesh_frag_spirv), true,
		   VK_PRIMITIVE_TOPOLOGY_TRIANGLE_LIST, VK_FALSE, VK_TRUE },
	[FLOOR] = { CODE(floor_vert_spirv), CODE(floor_frag_spirv), false,
		    VK_PRIMITIVE_TOPOLOGY_TRIANGLE_STRIP, VK_TRUE, VK_TRUE },
};

static int layout_create(struct gpu_scene *scene)
{
	const VkPushConstantRange range = {
		.stageFlags = VK_SHADER_STAGE_VERTEX_BIT | VK_SHADER_STAGE_FRAGMENT_BIT,
		.size = sizeof(struct constants),
	};
	const VkPipelineLayoutCreateInfo info = {
		.sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO,
		.pushConstantRangeCount = 1,
		.pPushConstantRanges = &range,
	};
	return GPU_CALL(scene->gpu, vkCreatePipelineLayout, &info, NULL, &scene->layout);
}

static const VkVertexInputBindingDescription vertex_binding = { .stride = sizeof(struct vertex) };
static const VkVertexInputAttributeDescription vertex_attributes[] = {
	{ 0, 0, VK_FORMAT_R32G32B32_SFLOAT, offsetof(struct vertex, position) },
	{ 1, 0, VK_FORMAT_R32G32B32_SFLOAT, offsetof(struct vertex, normal) },
	{ 2, 0, VK_FORMAT_R32_SFLOAT, offsetof(struct vertex, along) },
};

static int pipeline_create(struct gpu_scene *scene, const struct pipeline_desc *desc,
			   const VkShaderModule *shaders, VkPipeline *ret_pipeline)
{
	const VkPipelineShaderStageCreateInfo stages[] = {
		{ .sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
		  .stage = VK_SHADER_STAGE_VERTEX_BIT,
		  .module = shaders[0],
		  .pName = "main" },
		{ .sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
		  .stage = VK_SHADER_STAGE_FRAGMENT_BIT,
		  .module = shaders[1],
		  .pName = "main" },
	};
	const VkPipelineVertexInputStateCreateInfo vertices = {
		.sType = VK_STRUCTURE_TYPE_PIPELINE_VERTEX_INPUT_STATE_CREATE_INFO,
		.vertexBindingDescriptionCount = desc->mesh ? 1 : 0,
		.pVertexBindingDescriptions = &vertex_binding,
		.vertexAttributeDescriptionCount = desc->mesh ? 3 : 0,
		.pVertexAttributeDescriptions = vertex_attributes,
	};
	const VkPipelineInputAssemblyStateCreateInfo assembly = {
		.sType = VK_STRUCTURE_TYPE_PIPELINE_INPUT_ASSEMBLY_STATE_CREATE_INFO,
		.topology = desc->topology,
	};
	const VkViewport viewport = {
		.width = (float)scene->width,
		.height = (float)scene->height,
		.maxDepth = 1,
	};
	const VkRect2D scissor = { .extent = { scene->width, scene->height } };
	const VkPipelineViewportStateCreateInfo viewports = {
		.sType = VK_STRUCTURE_TYPE_PIPELINE_VIEWPORT_STATE_CREATE_INFO,
		.viewportCount = 1,
		.pViewports = &viewport,
		.scissorCount = 1,
		.pScissors = &scissor,
	};
	const VkPipelineRasterizationStateCreateInfo raster = {
		.sType = VK_STRUCTURE_TYPE_PIPELINE_RASTERIZATION_STATE_CREATE_INFO,
		.lineWidth = 1,
	};
	const VkPipelineMultisampleStateCreateInfo multisample = {
		.sType = VK_STRUCTURE_TYPE_PIPELINE_MULTISAMPLE_STATE_CREATE_INFO,
		.rasterizationSamples = scene->samples,
	};
	const VkPipelineDepthStencilStateCreateInfo depth = {
		.sType = VK_STRUCTURE_TYPE_PIPELINE_DEPTH_STENCIL_STATE_CREATE_INFO,
		.depthTestEnable = desc->deep,
		.depthWriteEnable = desc->deep,
		.depthCompareOp = VK_COMPARE_OP_LESS,
	};
	const VkPipelineColorBlendAttachmentState attachment = {
		.blendEnable = desc->blended,
		.srcColorBlendFactor = VK_BLEND_FACTOR_SRC_ALPHA,
		.dstColorBlendFactor = VK_BLEND_FACTOR_ONE_MINUS_SRC_ALPHA,
		.colorWriteMask = VK_COLOR_COMPONENT_R_BIT | VK_COLOR_COMPONENT_G_BIT |
				  VK_COLOR_COMPONENT_B_BIT,
	};
	const VkPipelineColorBlendStateCreateInfo blend = {
		.sType = VK_STRUCTURE_TYPE_PIPELINE_COLOR_BLEND_STATE_CREATE_INFO,
		.attachmentCount = 1,
		.pAttachments = &attachment,
	};
	const VkGraphicsPipelineCreateInfo info = {
		.sType = VK_STRUCTURE_TYPE_GRAPHICS_PIPELINE_CREATE_INFO,
		.stageCount = 2,
		.pStages = stages,
		.pVertexInputState = &vertices,
		.pInputAssemblyState = &assembly,
		.pViewportState = &viewports,
		.pRasterizationState = &raster,
		.pMultisampleState = &multisample,
		.pDepthStencilState = &depth,
		.pColorBlendState = &blend,
		.layout = scene->layout,
		.renderPass = scene->pass,
	};
	return GPU_CALL(scene->gpu, vkCreateGraphicsPipelines, VK_NULL_HANDLE, 1, &info, NULL,
			ret_pipeline);
}

static int pipelines_create(struct gpu_scene *scene)
{
	struct gpu *gpu = scene->gpu;
	int r = layout_create(scene);
	for (size_t i = 0; r == 0 && i < PIPELINES; i++) {
		const struct pipeline_desc *desc = &pipeline_descs[i];
		VkShaderModule shaders[2] = { VK_NULL_HANDLE, VK_NULL_HANDLE };
		r = gpu_shader_create(gpu, desc->vertex.words, desc->vertex.size, &shaders[0]);
		if (r == 0) {
			r = gpu_shader_create(gpu, desc->fragment.words, desc->fragment.size,
					      &shaders[1]);
		}
		if (r == 0) {
			r = pipeline_create(scene, desc, shaders, &scene->pipelines[i]);
		}
		gpu->vkDestroyShaderModule(gpu->device, shaders[0], NULL);
		gpu->vkDestroyShaderModule(gpu->device, shaders[1], NULL);
	}
	return r;
}

static int mesh_upload(struct gpu_scene *scene)
{
	struct mesh mesh;
	int r = mesh_create(&mesh);
	if (r < 0) {
		return fbk_vk_check(scene->gpu->vk, VK_ERROR_OUT_OF_HOST_MEMORY, "the mesh");
	}
	scene->knot_indices = (uint32_t)mesh.knot_indices;
	scene->ball_indices = (uint32_t)(mesh.index_count - mesh.knot_indices);
	r = gpu_buffer_create(scene->gpu, mesh.vertices, mesh.vertex_count * sizeof(*mesh.vertices),
			      VK_BUFFER_USAGE_VERTEX_BUFFER_BIT, &scene->vertices);
	if (r == 0) {
		r = gpu_buffer_create(scene->gpu, mesh.indices,
				      mesh.index_count * sizeof(*mesh.indices),
				      VK_BUFFER_USAGE_INDEX_BUFFER_BIT, &scene->indices);
	}
	mesh_finish(&mesh);
	return r;
}

/* ------------------------------------------------------------------------------------ scene -- */

int gpu_scene_create(struct gpu *gpu, uint32_t width, uint32_t height, struct gpu_scene **ret_scene)
{
	struct gpu_scene *scene = calloc(1, sizeof(*scene));
	if (!scene) {
		return fbk_vk_check(gpu->vk, VK_ERROR_OUT_OF_HOST_MEMORY, "the scene");
	}
	scene->gpu = gpu;
	scene->width = width;
	scene->height = height;
	formats_choose(scene);
	int r = images_create(scene);
	if (r == 0) {
		r = pass_create(scene);
	}
	if (r == 0) {
		r = framebuffer_create(scene);
	}
	if (r == 0) {
		r = pipelines_create(scene);
	}
	if (r == 0) {
		r = mesh_upload(scene);
	}
	if (r < 0) {
		gpu_scene_destroy(scene);
		return r;
	}
	*ret_scene = scene;
	return 0;
}

void gpu_scene_destroy(struct gpu_scene *scene)
{
	if (!scene) {
		return;
	}
	struct gpu *gpu = scene->gpu;
	gpu_buffer_destroy(gpu, &scene->vertices);
	gpu_buffer_destroy(gpu, &scene->indices);
	for (size_t i = 0; i < PIPELINES; i++) {
		gpu->vkDestroyPipeline(gpu->device, scene->pipelines[i], NULL);
	}
	gpu->vkDestroyPipelineLayout(gpu->device, scene->layout, NULL);
	gpu->vkDestroyFramebuffer(gpu->device, scene->framebuffer, NULL);
	gpu->vkDestroyRenderPass(gpu->device, scene->pass, NULL);
	for (size_t i = 0; i < IMAGES; i++) {
		gpu_image_destroy(gpu, &scene->images[i]);
	}
	free(scene);
}

VkImageView gpu_scene_image(const struct gpu_scene *scene)
{
	return scene->images[RESOLVED].view;
}

static void pass_begin(const struct gpu_scene *scene, VkCommandBuffer commands)
{
	const VkClearValue clears[IMAGES] = { [DEPTH].depthStencil.depth = 1 };
	const VkRenderPassBeginInfo info = {
		.sType = VK_STRUCTURE_TYPE_RENDER_PASS_BEGIN_INFO,
		.renderPass = scene->pass,
		.framebuffer = scene->framebuffer,
		.renderArea.extent = { scene->width, scene->height },
		.clearValueCount = image_count(scene),
		.pClearValues = clears,
	};
	scene->gpu->vkCmdBeginRenderPass(commands, &info, VK_SUBPASS_CONTENTS_INLINE);
}

static void set_constants(const struct gpu_scene *scene, VkCommandBuffer commands,
			  const struct constants *constants)
{
	scene->gpu->vkCmdPushConstants(commands, scene->layout,
				       VK_SHADER_STAGE_VERTEX_BIT | VK_SHADER_STAGE_FRAGMENT_BIT, 0,
				       sizeof(*constants), constants);
}

static void plain_record(const struct gpu_scene *scene, VkCommandBuffer commands, int pipeline,
			 uint32_t vertices, const struct constants *constants)
{
	scene->gpu->vkCmdBindPipeline(commands, VK_PIPELINE_BIND_POINT_GRAPHICS,
				      scene->pipelines[pipeline]);
	set_constants(scene, commands, constants);
	scene->gpu->vkCmdDraw(commands, vertices, 1, 0, 0);
}

static void meshes_record(const struct gpu_scene *scene, VkCommandBuffer commands, bool mirrored,
			  struct constants constants)
{
	struct gpu *gpu = scene->gpu;
	const VkDeviceSize start = 0;
	constants.mirrored = mirrored ? 1 : 0;
	gpu->vkCmdBindPipeline(commands, VK_PIPELINE_BIND_POINT_GRAPHICS, scene->pipelines[MESH]);
	gpu->vkCmdBindVertexBuffers(commands, 0, 1, &scene->vertices.buffer, &start);
	gpu->vkCmdBindIndexBuffer(commands, scene->indices.buffer, 0, VK_INDEX_TYPE_UINT16);
	set_constants(scene, commands, &constants);
	gpu->vkCmdDrawIndexed(commands, scene->knot_indices, 1, 0, 0, 0);
	constants.satellite = 1;
	set_constants(scene, commands, &constants);
	gpu->vkCmdDrawIndexed(commands, scene->ball_indices, SATELLITES, scene->knot_indices, 0, 0);
}

/* Draw the reflection below the floor first: the floor, drawn over it, is partly transparent. */
void gpu_scene_record(const struct gpu_scene *scene, VkCommandBuffer commands, uint32_t number)
{
	struct constants constants = { .time = (float)number / FPS };
	struct camera camera =
		camera_at(constants.time, (float)scene->width / (float)scene->height);
	memcpy(constants.view_projection, camera.view_projection, sizeof(camera.view_projection));
	memcpy(constants.eye, camera.eye, sizeof(camera.eye));
	pass_begin(scene, commands);
	plain_record(scene, commands, SKY, 3, &constants);
	meshes_record(scene, commands, true, constants);
	plain_record(scene, commands, FLOOR, 4, &constants);
	meshes_record(scene, commands, false, constants);
	scene->gpu->vkCmdEndRenderPass(commands);
}
