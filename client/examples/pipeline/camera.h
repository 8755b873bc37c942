// SPDX-License-Identifier: MIT
/* Where the scene is seen from. */
#pragma once

struct camera {
	float view_projection[16]; /* column after column, for Vulkan's clip space */
	float eye[3];
};

/* `aspect`: width by height. */
struct camera camera_at(float seconds, float aspect);
