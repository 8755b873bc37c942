// SPDX-License-Identifier: MIT
#version 450
#extension GL_GOOGLE_include_directive : require
#include "scene.glsl"

layout(location = 0) in vec3 world;
layout(location = 1) in vec3 facing;
layout(location = 2) in vec3 base;
layout(location = 0) out vec4 colour;

void main()
{
	vec3 n = normalize(facing);
	vec3 v = normalize(eye - world);
	vec3 flip = vec3(1.0, mirrored > 0.0 ? -1.0 : 1.0, 1.0);
	vec3 key = KEY_LIGHT * flip;
	vec3 half_way = normalize(key + v);
	float lit = max(dot(n, key), 0.0);
	float fill = max(dot(n, FILL_LIGHT * flip), 0.0);
	float rim = pow(1.0 - max(dot(n, v), 0.0), 3.0);
	vec3 light = base * (0.10 + 1.05 * lit + vec3(0.16, 0.20, 0.34) * fill);
	light += vec3(1.0, 0.93, 0.80) * pow(max(dot(n, half_way), 0.0), 60.0) * 1.3;
	light += sky(0.1 + 0.5 * n.y * flip.y) * rim * 1.6;
	if (mirrored > 0.0) { // the reflection fades with depth
		light *= exp(1.1 * (world.y - FLOOR));
	}
	colour = vec4(displayed(light), 1.0);
}
