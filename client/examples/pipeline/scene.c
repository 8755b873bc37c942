// SPDX-License-Identifier: MIT
#include "scene.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "glyph.h"
#include "stamp.h"

#define WAVE_SIZE 512 /* steps of a full turn */
#define BALLS     3

struct colour {
	uint8_t y, u, v;
};

struct ball {
	struct colour colour;
	unsigned int speed_x, speed_y; /* 1/16 pixels of a 640x360 picture a frame */
	unsigned int phase;
};

static const struct ball balls[BALLS] = {
	{ { 150, 84, 202 }, 61, 37, 0 },    /* coral */
	{ { 165, 152, 72 }, 43, 53, 4100 }, /* teal */
	{ { 190, 70, 150 }, 29, 71, 9300 }, /* amber */
};

struct scene {
	unsigned int width, height;
	unsigned int top;        /* first row below the stamp */
	uint8_t wave[WAVE_SIZE]; /* 0 to 255 */
	uint8_t *columns;        /* of the picture being drawn: what each column adds */
	uint8_t *diagonals;
};

int scene_create(unsigned int width, unsigned int height, struct scene **ret_scene)
{
	struct scene *scene = calloc(1, sizeof(*scene));
	if (!scene) {
		return -ENOMEM;
	}
	scene->width = width;
	scene->height = height;
	scene->top = stamp_height(width);
	scene->columns = malloc(width);
	scene->diagonals = malloc((size_t)width + height);
	if (!scene->columns || !scene->diagonals) {
		scene_destroy(scene);
		return -ENOMEM;
	}
	for (unsigned int i = 0; i < WAVE_SIZE; i++) {
		scene->wave[i] = (uint8_t)lround(127.5 + 127.5 * sin(2 * M_PI * i / WAVE_SIZE));
	}
	*ret_scene = scene;
	return 0;
}

void scene_destroy(struct scene *scene)
{
	if (!scene) {
		return;
	}
	free(scene->columns);
	free(scene->diagonals);
	free(scene);
}

/* A wave of `length`, shifted by `offset` steps, with amplitude `height`. */
static uint8_t wave_at(const struct scene *scene, unsigned int position, unsigned int length,
		       unsigned int offset, unsigned int height)
{
	unsigned int step = position * WAVE_SIZE / length + offset;
	return (uint8_t)(scene->wave[step % WAVE_SIZE] * height / 255);
}

static void draw_luma(struct scene *scene, const struct picture *picture, unsigned int time)
{
	for (unsigned int x = 0; x < scene->width; x++) {
		scene->columns[x] = wave_at(scene, x, scene->width, time * 2, 60);
	}
	for (unsigned int i = 0; i < scene->width + scene->height; i++) {
		scene->diagonals[i] =
			wave_at(scene, i, scene->width, WAVE_SIZE - time % WAVE_SIZE, 70);
	}
	for (unsigned int y = 0; y < scene->height; y++) {
		uint8_t *row = picture->planes[0] + y * picture->strides[0];
		const uint8_t *diagonal = scene->diagonals + y;
		uint8_t base = (uint8_t)(30 + wave_at(scene, y, scene->height, time, 40));
		for (unsigned int x = 0; x < scene->width; x++) {
			row[x] = (uint8_t)(base + scene->columns[x] + diagonal[x]);
		}
	}
}

static void draw_chroma(struct scene *scene, const struct picture *picture, unsigned int time)
{
	for (size_t plane = 1; plane < PICTURE_PLANES; plane++) {
		unsigned int turn = (unsigned int)plane * WAVE_SIZE / 3 + time;
		for (unsigned int x = 0; x < scene->width / 2; x++) {
			scene->columns[x] = wave_at(scene, x, scene->width, turn, 36);
		}
		for (unsigned int y = 0; y < scene->height / 2; y++) {
			uint8_t *row = picture->planes[plane] + y * picture->strides[plane];
			unsigned int base = 92u + wave_at(scene, y, scene->height, turn / 2, 36);
			for (unsigned int x = 0; x < scene->width / 2; x++) {
				row[x] = (uint8_t)(base + scene->columns[x]);
			}
		}
	}
}

/* Bounces within [from, from + room]. */
static int bounce(unsigned int distance, unsigned int from, unsigned int room)
{
	unsigned int place = distance % (2 * room + 1);
	return (int)(from + (place > room ? 2 * room - place : place));
}

static void ball_pixel(const struct picture *picture, const struct ball *ball, int x, int y,
		       int shine)
{
	int luma = ball->colour.y + shine;
	picture->planes[0][(size_t)y * picture->strides[0] + (size_t)x] =
		(uint8_t)(luma < 16    ? 16
			  : luma > 235 ? 235
				       : luma);
	if (x % 2 == 0 && y % 2 == 0) {
		size_t row = (size_t)y / 2;
		picture->planes[1][row * picture->strides[1] + (size_t)x / 2] = ball->colour.u;
		picture->planes[2][row * picture->strides[2] + (size_t)x / 2] = ball->colour.v;
	}
}

static void draw_ball(const struct scene *scene, const struct picture *picture,
		      const struct ball *ball, unsigned int time)
{
	unsigned int height = scene->height - scene->top;
	int radius = (int)((height < scene->width ? height : scene->width) / 8);
	unsigned int size = 2 * (unsigned int)radius;
	uint64_t distance_x = (uint64_t)time * ball->speed_x * scene->width / (16 * 640);
	uint64_t distance_y = (uint64_t)time * ball->speed_y * scene->height / (16 * 360);
	int centre_x =
		radius + bounce((unsigned int)distance_x + ball->phase, 0, scene->width - size - 1);
	int centre_y = radius + bounce((unsigned int)distance_y + ball->phase, scene->top,
				       height - size - 1);
	for (int y = -radius; y <= radius; y++) {
		for (int x = -radius; x <= radius; x++) {
			if (x * x + y * y <= radius * radius) {
				/* lit from the upper left */
				ball_pixel(picture, ball, centre_x + x, centre_y + y,
					   -(x + y) * 40 / radius);
			}
		}
	}
}

void scene_draw(struct scene *scene, const struct picture *picture, uint32_t number)
{
	draw_luma(scene, picture, number);
	draw_chroma(scene, picture, number);
	for (size_t i = 0; i < BALLS; i++) {
		draw_ball(scene, picture, &balls[i], number);
	}
	glyph_draw_number(picture, scene->top, number);
}
