// SPDX-License-Identifier: MIT
#version 450
#extension GL_GOOGLE_include_directive : require
#include "scene.glsl"

layout(location = 0) in vec2 place;
layout(location = 0) out vec4 colour;

void main()
{
	vec3 light = sky(-place.y * 0.6 + 0.12);
	light += vec3(0.20, 0.11, 0.05) * exp(-4.0 * dot(place - vec2(0.55, -0.35), place - vec2(0.55, -0.35)));
	colour = vec4(displayed(light), 1.0);
}
