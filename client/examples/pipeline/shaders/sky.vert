// SPDX-License-Identifier: MIT
#version 450

layout(location = 0) out vec2 place; // -1 to 1

// One triangle that covers the picture, at the far plane.
void main()
{
	place = vec2(gl_VertexIndex == 1 ? 3.0 : -1.0, gl_VertexIndex == 2 ? 3.0 : -1.0);
	gl_Position = vec4(place, 1.0, 1.0);
}
