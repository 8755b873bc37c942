// SPDX-License-Identifier: MIT
#version 450
#extension GL_GOOGLE_include_directive : require
#include "scene.glsl"

layout(location = 0) in vec3 world;
layout(location = 0) out vec4 colour;

// Squares with edges smoothed over one pixel.
float squares(vec2 place)
{
	vec2 width = fwidth(place) + 0.001;
	vec2 wave = abs(fract(place) - 0.5) * 2.0;
	vec2 edge = clamp((wave - 0.5) / width + 0.5, 0.0, 1.0) * 2.0 - 1.0;
	return 0.5 - 0.5 * edge.x * edge.y;
}

void main()
{
	vec3 ray = world - eye;
	float far = length(ray);
	float blur = smoothstep(4.0, 14.0, far);
	vec3 light = mix(vec3(0.012, 0.015, 0.03), vec3(0.085, 0.08, 0.115), mix(squares(world.xz * 0.7), 0.5, blur));
	float shadow = exp(-0.55 * dot(world.xz, world.xz));
	light *= 1.0 - 0.65 * shadow;
	light = mix(light, sky(0.0), smoothstep(5.0, 24.0, far));
	float glance = 1.0 - abs(ray.y) / far;
	colour = vec4(displayed(light), mix(0.72, 0.93, blur) - 0.25 * pow(glance, 4.0) * (1.0 - blur));
}
