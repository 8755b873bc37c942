// SPDX-License-Identifier: MIT
/*
 * From the drawn image to the shared pictures: a compute shader writes each picture, with its frame number,
 * in place. Belongs to a struct gpu, which outlives it. One thread.
 */
#pragma once

#include "gpu.h"
#include "shared.h"

struct gpu_pictures;

/* `image` is what gpu_scene_image() gives; the pictures are of picture_bytes(width, height). */
int gpu_pictures_create(struct gpu *gpu, VkImageView image, uint32_t width, uint32_t height,
			const struct shared *pictures, size_t count,
			struct gpu_pictures **ret_pictures);
void gpu_pictures_destroy(struct gpu_pictures *pictures); /* takes NULL */

/* From then on the picture carries no frame number. */
void gpu_pictures_record_mark(const struct gpu_pictures *pictures, VkCommandBuffer commands,
			      size_t index);

/* Call it after that, and after the image is drawn. */
void gpu_pictures_record(const struct gpu_pictures *pictures, VkCommandBuffer commands,
			 size_t index, uint32_t number);
