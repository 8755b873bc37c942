// SPDX-License-Identifier: MIT
/*
 * The scene as a Vulkan device draws it: a torus knot with satellites, lit, over a reflecting floor, with
 * a depth buffer. The same number gives the same image. Belongs to a struct gpu, which outlives it. One
 * thread.
 */
#pragma once

#include "gpu.h"

struct gpu_scene;

int gpu_scene_create(struct gpu *gpu, uint32_t width, uint32_t height,
		     struct gpu_scene **ret_scene);
void gpu_scene_destroy(struct gpu_scene *scene); /* takes NULL */

/* Afterwards compute shaders can read the image; nothing writes it before they have. */
void gpu_scene_record(const struct gpu_scene *scene, VkCommandBuffer commands, uint32_t number);
VkImageView gpu_scene_image(const struct gpu_scene *scene);
