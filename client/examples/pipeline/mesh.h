// SPDX-License-Identifier: MIT
/* The shapes of the scene as triangles: a torus knot, then a ball. Plain data. */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct vertex {
	float position[3];
	float normal[3];
	float along; /* 0 to 1 along the knot */
};

struct mesh {
	struct vertex *vertices;
	uint16_t *indices;
	size_t vertex_count, index_count;
	size_t knot_indices; /* the knot's come first, then the ball's */
};

int mesh_create(struct mesh *mesh);  /* -ENOMEM */
void mesh_finish(struct mesh *mesh); /* takes a zeroed one */
