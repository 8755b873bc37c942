// SPDX-License-Identifier: MIT
// Shared by the shaders of the scene.
#define PI          3.14159265
#define FLOOR       -1.15
#define KEY_LIGHT   normalize(vec3(0.55, 0.9, 0.45))
#define FILL_LIGHT  normalize(vec3(-0.8, 0.25, 0.3))

#define SATELLITES 14

layout(push_constant) uniform Frame {
	mat4 view_projection;
	vec3 eye;
	float time;     // seconds
	float mirrored; // 1: the reflection in the floor
	float satellite; // 1: a satellite, else the knot
};

// By the height of the view direction, -1 to 1.
vec3 sky(float height)
{
	vec3 horizon = vec3(0.17, 0.11, 0.20);
	vec3 zenith = vec3(0.008, 0.014, 0.05);
	return mix(horizon, zenith, smoothstep(-0.05, 0.55, height));
}

vec3 palette(float t)
{
	return 0.5 + 0.5 * cos(2.0 * PI * (t + vec3(0.02, 0.33, 0.62)));
}

// From linear light to stored values.
vec3 displayed(vec3 light)
{
	return pow(light / (light + 0.55) * 1.35, vec3(1.0 / 2.2));
}
