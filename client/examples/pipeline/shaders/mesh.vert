// SPDX-License-Identifier: MIT
#version 450
#extension GL_GOOGLE_include_directive : require
#include "scene.glsl"

layout(location = 0) in vec3 position;
layout(location = 1) in vec3 normal;
layout(location = 2) in float along; // 0 to 1 along the knot

layout(location = 0) out vec3 world;
layout(location = 1) out vec3 facing;
layout(location = 2) out vec3 base;

mat3 turn_x(float a)
{
	return mat3(1.0, 0.0, 0.0, 0.0, cos(a), sin(a), 0.0, -sin(a), cos(a));
}

mat3 turn_y(float a)
{
	return mat3(cos(a), 0.0, -sin(a), 0.0, 1.0, 0.0, sin(a), 0.0, cos(a));
}

void main()
{
	if (satellite > 0.0) {
		float angle = 2.0 * PI * gl_InstanceIndex / SATELLITES - 0.45 * time;
		vec3 centre = vec3(2.15 * cos(angle), 0.42 * sin(3.0 * angle + time) - 0.1,
				   2.15 * sin(angle));
		world = centre + 0.15 * position;
		facing = normal;
		base = palette(0.5 + float(gl_InstanceIndex) / SATELLITES);
	} else {
		mat3 turn = turn_y(0.8 * time) * turn_x(0.5 * sin(0.6 * time) + 0.3);
		world = turn * position + vec3(0.0, 0.1, 0.0);
		facing = turn * normal;
		base = palette(along + 0.03 * time);
	}
	if (mirrored > 0.0) {
		world.y = 2.0 * FLOOR - world.y;
		facing.y = -facing.y;
	}
	gl_Position = view_projection * vec4(world, 1.0);
}
