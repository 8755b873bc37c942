// SPDX-License-Identifier: MIT
#version 450
#extension GL_GOOGLE_include_directive : require
#include "scene.glsl"

layout(location = 0) out vec3 world;

void main()
{
	vec2 corner = vec2(gl_VertexIndex & 1, gl_VertexIndex >> 1) * 2.0 - 1.0;
	world = vec3(corner.x * 60.0, FLOOR, corner.y * 60.0);
	gl_Position = view_projection * vec4(world, 1.0);
}
