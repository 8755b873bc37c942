// SPDX-License-Identifier: MIT
/* FBK_VK_WAY_STORE: a compute shader with one invocation that stores 64 bits. */
#include "vulkan.h"

#include "store_comp.spv.h"

struct constants {
	uint64_t value;
	uint32_t word; /* position, in words of 64 bits */
	uint32_t unused;
};

static int layouts_create(struct fbk_vk *vk)
{
	const VkDescriptorSetLayoutBinding binding = {
		.descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
		.descriptorCount = 1,
		.stageFlags = VK_SHADER_STAGE_COMPUTE_BIT,
	};
	const VkDescriptorSetLayoutCreateInfo set = {
		.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_LAYOUT_CREATE_INFO,
		.bindingCount = 1,
		.pBindings = &binding,
	};
	const VkPushConstantRange range = {
		.stageFlags = VK_SHADER_STAGE_COMPUTE_BIT,
		.size = sizeof(struct constants),
	};
	int r = fbk_vk_check(vk,
			     vk->procs.vkCreateDescriptorSetLayout(vk->handles.device, &set, NULL,
								   &vk->set_layout),
			     "vkCreateDescriptorSetLayout");
	if (r < 0) {
		return r;
	}
	const VkPipelineLayoutCreateInfo layout = {
		.sType = VK_STRUCTURE_TYPE_PIPELINE_LAYOUT_CREATE_INFO,
		.setLayoutCount = 1,
		.pSetLayouts = &vk->set_layout,
		.pushConstantRangeCount = 1,
		.pPushConstantRanges = &range,
	};
	return fbk_vk_check(vk,
			    vk->procs.vkCreatePipelineLayout(vk->handles.device, &layout, NULL,
							     &vk->pipeline_layout),
			    "vkCreatePipelineLayout");
}

static int pipeline_create(struct fbk_vk *vk)
{
	const VkShaderModuleCreateInfo code = {
		.sType = VK_STRUCTURE_TYPE_SHADER_MODULE_CREATE_INFO,
		.codeSize = sizeof(store_comp_spirv),
		.pCode = store_comp_spirv,
	};
	VkComputePipelineCreateInfo info = {
		.sType = VK_STRUCTURE_TYPE_COMPUTE_PIPELINE_CREATE_INFO,
		.stage = { .sType = VK_STRUCTURE_TYPE_PIPELINE_SHADER_STAGE_CREATE_INFO,
			   .stage = VK_SHADER_STAGE_COMPUTE_BIT,
			   .pName = "main" },
		.layout = vk->pipeline_layout,
	};
	int r = fbk_vk_check(
		vk,
		vk->procs.vkCreateShaderModule(vk->handles.device, &code, NULL, &info.stage.module),
		"vkCreateShaderModule");
	if (r == 0) {
		r = fbk_vk_check(vk,
				 vk->procs.vkCreateComputePipelines(vk->handles.device,
								    VK_NULL_HANDLE, 1, &info, NULL,
								    &vk->pipeline),
				 "vkCreateComputePipelines");
		vk->procs.vkDestroyShaderModule(vk->handles.device, info.stage.module, NULL);
	}
	return r;
}

int store_create(struct fbk_vk *vk)
{
	int r = layouts_create(vk);
	return r < 0 ? r : pipeline_create(vk);
}

void store_destroy(struct fbk_vk *vk)
{
	if (vk->set_layout) { /* else setup never began, and functions may be missing */
		vk->procs.vkDestroyPipeline(vk->handles.device, vk->pipeline, NULL);
		vk->procs.vkDestroyPipelineLayout(vk->handles.device, vk->pipeline_layout, NULL);
		vk->procs.vkDestroyDescriptorSetLayout(vk->handles.device, vk->set_layout, NULL);
	}
}

int store_bind(struct fbk_vk *vk, VkBuffer buffer, VkDescriptorPool *ret_pool,
	       VkDescriptorSet *ret_set)
{
	const VkDescriptorPoolSize size = {
		.type = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
		.descriptorCount = 1,
	};
	const VkDescriptorPoolCreateInfo pool = {
		.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_POOL_CREATE_INFO,
		.maxSets = 1,
		.poolSizeCount = 1,
		.pPoolSizes = &size,
	};
	int r = fbk_vk_check(
		vk, vk->procs.vkCreateDescriptorPool(vk->handles.device, &pool, NULL, ret_pool),
		"vkCreateDescriptorPool");
	if (r < 0) {
		return r;
	}
	const VkDescriptorSetAllocateInfo set = {
		.sType = VK_STRUCTURE_TYPE_DESCRIPTOR_SET_ALLOCATE_INFO,
		.descriptorPool = *ret_pool,
		.descriptorSetCount = 1,
		.pSetLayouts = &vk->set_layout,
	};
	r = fbk_vk_check(vk, vk->procs.vkAllocateDescriptorSets(vk->handles.device, &set, ret_set),
			 "vkAllocateDescriptorSets");
	if (r < 0) {
		return r;
	}
	const VkDescriptorBufferInfo whole = { .buffer = buffer, .range = VK_WHOLE_SIZE };
	const VkWriteDescriptorSet write = {
		.sType = VK_STRUCTURE_TYPE_WRITE_DESCRIPTOR_SET,
		.dstSet = *ret_set,
		.descriptorCount = 1,
		.descriptorType = VK_DESCRIPTOR_TYPE_STORAGE_BUFFER,
		.pBufferInfo = &whole,
	};
	vk->procs.vkUpdateDescriptorSets(vk->handles.device, 1, &write, 0, NULL);
	return 0;
}

void store_record(const struct fbk_vk_signal *signal, VkCommandBuffer commands, uint64_t value)
{
	const struct fbk_vk *vk = signal->vk;
	const struct constants constants = {
		.value = value,
		.word = (uint32_t)(signal->offset / sizeof(value)),
	};
	vk->procs.vkCmdBindPipeline(commands, VK_PIPELINE_BIND_POINT_COMPUTE, vk->pipeline);
	vk->procs.vkCmdBindDescriptorSets(commands, VK_PIPELINE_BIND_POINT_COMPUTE,
					  vk->pipeline_layout, 0, 1, &signal->page->set, 0, NULL);
	vk->procs.vkCmdPushConstants(commands, vk->pipeline_layout, VK_SHADER_STAGE_COMPUTE_BIT, 0,
				     sizeof(constants), &constants);
	vk->procs.vkCmdDispatch(commands, 1, 1, 1);
}
