// SPDX-License-Identifier: MIT
// From the drawn image to the shared I420 picture, with the frame number as in stamp.h and glyph.h. An
// invocation writes 8x2 pixels of luma and 4 of each chroma, in whole words.
#version 450
#extension GL_EXT_samplerless_texture_functions : require

#define BLACK 16u
#define WHITE 235u
#define GREY  128u
#define CELL  16
#define BITS  48

#define GLYPH_COLUMNS 5
#define GLYPH_ROWS    7
#define GLYPH_SHADOW  24u

layout(local_size_x = 8, local_size_y = 8) in;
layout(set = 0, binding = 0) uniform texture2D image;
layout(set = 0, binding = 1) writeonly buffer Picture {
	uint words[];
};
layout(set = 0, binding = 2) readonly buffer Glyphs {
	uint glyph_rows[];
};
layout(push_constant) uniform Layout {
	ivec2 size;
	uint luma_stride; // these four in words
	uint chroma_stride;
	uint u_start;
	uint v_start;
	uint stamp_columns;
	uint stamp_high; // of 48 bits
	uint stamp_low;
	uint number;
	ivec2 glyph_start; // of the first digit
	int glyph_block;   // pixels of a block, 0: no digits
	int glyph_shadow;  // how far it is shifted
	int glyph_count;
};

// BLACK or WHITE inside a cell of the stamp, else 0.
uint stamp(ivec2 place)
{
	int bit = place.y / CELL * int(stamp_columns) + place.x / CELL;
	if (place.x / CELL >= int(stamp_columns) || bit >= BITS) {
		return 0u;
	}
	int shift = BITS - 1 - bit;
	uint set = shift >= 32 ? stamp_high >> (shift - 32) : stamp_low >> shift;
	return (set & 1u) != 0u ? WHITE : BLACK;
}

bool digit_covers(ivec2 place)
{
	int column = place.x / glyph_block, row = place.y / glyph_block;
	int digit = column / (GLYPH_COLUMNS + 1);
	column %= GLYPH_COLUMNS + 1;
	if (place.x < 0 || place.y < 0 || digit >= glyph_count || row >= GLYPH_ROWS ||
	    column >= GLYPH_COLUMNS) {
		return false;
	}
	uint value = number;
	for (int i = digit + 1; i < glyph_count; i++) {
		value /= 10u;
	}
	uint bits = glyph_rows[value % 10u * GLYPH_ROWS + row];
	return (bits >> (GLYPH_COLUMNS - 1 - column) & 1u) != 0u;
}

// The overlay (stamp or digits) at this pixel, or 0.
uint overlay(ivec2 place)
{
	uint luma = stamp(place);
	if (luma == 0u && glyph_block > 0) {
		ivec2 at = place - glyph_start;
		luma = digit_covers(at) ? WHITE : digit_covers(at - glyph_shadow) ? GLYPH_SHADOW : 0u;
	}
	return luma;
}

vec3 pixel(ivec2 place)
{
	return texelFetch(image, min(place, size - 1), 0).rgb;
}

// BT.601, the default without a stated colour space.
float luma_of(vec3 colour)
{
	return 16.0 + dot(colour, vec3(65.481, 128.553, 24.966));
}

vec2 chroma_of(vec3 colour)
{
	return 128.0 + vec2(dot(colour, vec3(-37.797, -74.203, 112.0)),
			    dot(colour, vec3(112.0, -93.786, -18.214)));
}

void main()
{
	ivec2 start = ivec2(gl_GlobalInvocationID.xy) * ivec2(8, 2);
	if (start.x >= size.x || start.y >= size.y) {
		return;
	}
	uint luma[4] = uint[4](0u, 0u, 0u, 0u);
	uint u = 0u, v = 0u;
	for (int pair = 0; pair < 4; pair++) {
		vec3 sum = vec3(0.0);
		bool covered = false;
		for (int i = 0; i < 4; i++) {
			ivec2 offset = ivec2(pair * 2 + (i & 1), i >> 1);
			vec3 colour = pixel(start + offset);
			uint over = overlay(start + offset);
			uint value = over != 0u ? over : uint(luma_of(colour) + 0.5);
			luma[offset.y * 2 + offset.x / 4] |= value << (offset.x % 4 * 8);
			covered = covered || over != 0u;
			sum += colour;
		}
		uvec2 chroma = covered ? uvec2(GREY) : uvec2(chroma_of(sum / 4.0) + 0.5);
		u |= chroma.x << (pair * 8);
		v |= chroma.y << (pair * 8);
	}
	uint row = uint(start.y) * luma_stride + uint(start.x) / 4u;
	words[row] = luma[0];
	words[row + 1u] = luma[1];
	words[row + luma_stride] = luma[2];
	words[row + luma_stride + 1u] = luma[3];
	uint half_row = uint(start.y) / 2u * chroma_stride + uint(start.x) / 8u;
	words[u_start + half_row] = u;
	words[v_start + half_row] = v;
}
