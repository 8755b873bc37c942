// SPDX-License-Identifier: MIT
#include "mesh.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#define KNOT_ALONG  160
#define KNOT_AROUND 14
#define KNOT_RADIUS 0.29f /* of the tube */
#define BALL_ALONG  12
#define BALL_AROUND 8

#define TURN (2 * (float)M_PI)

struct vector {
	float x, y, z;
};

static struct vector add(struct vector a, struct vector b, float scale)
{
	return (struct vector){ a.x + b.x * scale, a.y + b.y * scale, a.z + b.z * scale };
}

static struct vector cross(struct vector a, struct vector b)
{
	return (struct vector){ a.y * b.z - a.z * b.y, a.z * b.x - a.x * b.z,
				a.x * b.y - a.y * b.x };
}

static struct vector unit(struct vector a)
{
	float length = sqrtf(a.x * a.x + a.y * a.y + a.z * a.z);
	return (struct vector){ a.x / length, a.y / length, a.z / length };
}

/* The centre line of the tube: twice around the axis, three times through the hole. */
static struct vector knot_at(float along)
{
	float around = 2 * TURN * along, through = 3 * TURN * along;
	float radius = 0.95f + 0.38f * cosf(through);
	return (struct vector){ radius * cosf(around), 0.55f * sinf(through),
				radius * sinf(around) };
}

static void put(struct mesh *mesh, struct vector position, struct vector normal, float along)
{
	mesh->vertices[mesh->vertex_count++] = (struct vertex){
		.position = { position.x, position.y, position.z },
		.normal = { normal.x, normal.y, normal.z },
		.along = along,
	};
}

/* Two triangles for each cell of a grid with `columns` + 1 vertices in a row. */
static void grid_connect(struct mesh *mesh, size_t first, unsigned int rows, unsigned int columns)
{
	for (unsigned int row = 0; row < rows; row++) {
		for (unsigned int column = 0; column < columns; column++) {
			size_t corner = first + (size_t)row * (columns + 1) + column;
			size_t below = corner + columns + 1;
			size_t corners[6] = { corner,     below, corner + 1,
					      corner + 1, below, below + 1 };
			for (size_t i = 0; i < 6; i++) {
				mesh->indices[mesh->index_count++] = (uint16_t)corners[i];
			}
		}
	}
}

static void knot_build(struct mesh *mesh)
{
	for (unsigned int i = 0; i <= KNOT_ALONG; i++) {
		float along = (float)i / KNOT_ALONG;
		struct vector centre = knot_at(along);
		struct vector ahead = unit(add(knot_at(along + 0.001f), centre, -1));
		struct vector up = { 0, 1, 0 };
		struct vector side = unit(cross(ahead, up));
		up = cross(side, ahead);
		for (unsigned int j = 0; j <= KNOT_AROUND; j++) {
			float turn = TURN * (float)j / KNOT_AROUND;
			struct vector none = { 0, 0, 0 };
			struct vector normal = add(add(none, side, cosf(turn)), up, sinf(turn));
			put(mesh, add(centre, normal, KNOT_RADIUS), normal, along);
		}
	}
	grid_connect(mesh, 0, KNOT_ALONG, KNOT_AROUND);
	mesh->knot_indices = mesh->index_count;
}

static void ball_build(struct mesh *mesh)
{
	size_t first = mesh->vertex_count;
	for (unsigned int i = 0; i <= BALL_AROUND; i++) {
		float polar = TURN / 2 * (float)i / BALL_AROUND;
		for (unsigned int j = 0; j <= BALL_ALONG; j++) {
			float turn = TURN * (float)j / BALL_ALONG;
			struct vector normal = { sinf(polar) * cosf(turn), cosf(polar),
						 sinf(polar) * sinf(turn) };
			put(mesh, normal, normal, 0);
		}
	}
	grid_connect(mesh, first, BALL_AROUND, BALL_ALONG);
}

int mesh_create(struct mesh *mesh)
{
	size_t vertices =
		(KNOT_ALONG + 1) * (KNOT_AROUND + 1) + (BALL_ALONG + 1) * (BALL_AROUND + 1);
	size_t fields = KNOT_ALONG * KNOT_AROUND + BALL_ALONG * BALL_AROUND;
	*mesh = (struct mesh){
		.vertices = calloc(vertices, sizeof(*mesh->vertices)),
		.indices = calloc(6 * fields, sizeof(*mesh->indices)),
	};
	if (!mesh->vertices || !mesh->indices) {
		mesh_finish(mesh);
		return -ENOMEM;
	}
	knot_build(mesh);
	ball_build(mesh);
	return 0;
}

void mesh_finish(struct mesh *mesh)
{
	free(mesh->vertices);
	free(mesh->indices);
	*mesh = (struct mesh){ 0 };
}
