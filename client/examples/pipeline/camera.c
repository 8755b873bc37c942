// SPDX-License-Identifier: MIT
#include "camera.h"

#include <math.h>

#define DISTANCE 5.2f
#define NEAR     0.5f
#define FAR      60.0f
#define ZOOM     1.75f /* 1 / tan(half the angle of view) */

static void unit(float v[3])
{
	float length = sqrtf(v[0] * v[0] + v[1] * v[1] + v[2] * v[2]);
	for (int i = 0; i < 3; i++) {
		v[i] /= length;
	}
}

static float dot(const float a[3], const float b[3])
{
	return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

struct camera camera_at(float seconds, float aspect)
{
	const float swing = 0.35f * sinf(0.25f * seconds);
	struct camera camera = {
		.eye = { DISTANCE * sinf(swing), 0.95f + 0.25f * sinf(0.4f * seconds),
			 DISTANCE * cosf(swing) },
	};
	/* towards a point a little below the middle */
	float ahead[3] = { -camera.eye[0], -0.15f - camera.eye[1], -camera.eye[2] };
	unit(ahead);
	float right[3] = { -ahead[2], 0, ahead[0] };
	unit(right);
	float up[3] = { right[1] * ahead[2] - right[2] * ahead[1],
			right[2] * ahead[0] - right[0] * ahead[2],
			right[0] * ahead[1] - right[1] * ahead[0] };
	const float depth = FAR / (FAR - NEAR);
	for (int i = 0; i < 3; i++) {
		camera.view_projection[i * 4 + 0] = right[i] * ZOOM / aspect;
		camera.view_projection[i * 4 + 1] = -up[i] * ZOOM; /* y is down */
		camera.view_projection[i * 4 + 2] = ahead[i] * depth;
		camera.view_projection[i * 4 + 3] = ahead[i];
	}
	camera.view_projection[12] = -dot(right, camera.eye) * ZOOM / aspect;
	camera.view_projection[13] = dot(up, camera.eye) * ZOOM;
	camera.view_projection[14] = -(dot(ahead, camera.eye) + NEAR) * depth;
	camera.view_projection[15] = -dot(ahead, camera.eye);
	return camera;
}
