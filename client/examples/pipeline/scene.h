// SPDX-License-Identifier: MIT
/*
 * What the renderer draws: a slowly turning gradient, three balls that bounce, and the frame number
 * for people. The balls stay below the stamp; the same number gives the same picture. Cheap: about a
 * millisecond for 640x360. One thread at a time.
 */
#pragma once

#include "picture.h"

struct scene;

/* For pictures of this size. -ENOMEM */
int scene_create(unsigned int width, unsigned int height, struct scene **ret_scene);
void scene_destroy(struct scene *scene); /* takes NULL */

/* Everything but the stamp, which it paints over. */
void scene_draw(struct scene *scene, const struct picture *picture, uint32_t number);
