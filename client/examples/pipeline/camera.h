// SPDX-License-Identifier: MIT
/* The viewpoint of the scene. */
#pragma once

struct camera {
	float view_projection[16]; /* column-major, for Vulkan's clip space */
	float eye[3];
};

/* `aspect`: width by height. */
struct camera camera_at(float seconds, float aspect);
