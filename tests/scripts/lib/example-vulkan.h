// SPDX-License-Identifier: MIT
/* As example.h, for those of fence-vulkan. */
#include <fence-vulkan.h>

#include "example.h"

extern struct fbk_vk *vk;
extern struct fbk_vk_handles handles;
extern struct fbk_vk_signal *signal;
extern struct fbk_vk_wait *wait;
extern VkCommandBuffer commands;
extern VkSubmitInfo submit;
extern VkQueue queue;

void draw_by(VkCommandBuffer commands);
#define draw(commands) draw_by(commands)
fbk_point_fn on_decided;
