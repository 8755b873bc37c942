// SPDX-License-Identifier: MIT
/*
 * The picture that the CPU draws: a slowly turning gradient, three bouncing balls, and the frame number
 * for people. The balls stay below the stamp; the same number gives the same picture. It costs about a
 * millisecond for 640x360. One thread at a time.
 */
#pragma once

#include "picture.h"

struct scene;

/* For pictures of this size. -ENOMEM */
int scene_create(unsigned int width, unsigned int height, struct scene **ret_scene);
void scene_destroy(struct scene *scene); /* takes NULL */

/* Draws everything but the stamp, which it overwrites. */
void scene_draw(struct scene *scene, const struct picture *picture, uint32_t number);
