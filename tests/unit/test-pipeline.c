// SPDX-License-Identifier: MIT
/* The parts that the example pipeline relies on: stamps, notes and histograms. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/examples/pipeline/board.h"
#include "client/examples/pipeline/canvas.h"
#include "client/examples/pipeline/glyph.h"
#include "client/examples/pipeline/histogram.h"
#include "client/examples/pipeline/note.h"
#include "client/examples/pipeline/picture.h"
#include "client/examples/pipeline/stamp.h"
#include "tests/suite.h"

/* --------------------------------------------------------------------------------- pictures -- */

static const struct {
	unsigned int width, height;
	int result;
} sizes[] = {
	{ 160, 128, 0 },         { 158, 128, -EINVAL },   { 160, 126, -EINVAL },
	{ 161, 128, -EINVAL },   { 160, 129, -EINVAL },   { 4096, 4096, 0 },
	{ 4098, 4096, -EINVAL }, { 4096, 4098, -EINVAL }, { 0, 0, -EINVAL },
};

START_TEST(picture_sizes)
{
	const char *why = NULL;
	int r = picture_check_size(sizes[_i].width, sizes[_i].height, &why);
	ck_assert_int_eq(r, sizes[_i].result);
	ck_assert((why != NULL) == (r < 0));
}
END_TEST

/* The planes lie in the buffer one after the other. */
START_TEST(picture_planes)
{
	size_t size = picture_bytes(162, 130);
	uint8_t *memory = malloc(size);
	struct picture picture = picture_at(memory, 162, 130);
	ck_assert_ptr_eq(picture.planes[0], memory);
	ck_assert_uint_ge(picture.strides[0], 162);
	ck_assert_uint_ge(picture.strides[2], 81);
	ck_assert_ptr_eq(picture.planes[1], picture.planes[0] + picture.strides[0] * 130);
	ck_assert_ptr_eq(picture.planes[2], picture.planes[1] + picture.strides[1] * 65);
	ck_assert(picture.planes[2] + picture.strides[2] * 65 <= memory + size);
	free(memory);
}
END_TEST

/* ----------------------------------------------------------------------------------- boards -- */

static const struct {
	struct board_clock clock;
	uint64_t ticks; /* that the device writes */
	uint64_t ns;
} device_times[] = {
	{ { 1000, 5000, 1, 64 }, 1000, 5000 },     { { 1000, 5000, 1, 64 }, 1200, 5200 },
	{ { 1000, 5000, 1, 64 }, 900, 4900 }, /* the clock was read later */
	{ { 1000, 5000, 2.5, 64 }, 1100, 5250 },   { { UINT64_MAX - 9, 5000, 1, 64 }, 10, 5020 },
	{ { 0xfffffffff, 5000, 1, 36 }, 9, 5010 }, /* 36 bits wrap */
	{ { 0, 5000, 1, 36 }, 0xfffffffff, 4999 },
};

/* A device's ticks are converted to nanoseconds of our clock. */
START_TEST(board_ticks)
{
	struct board board, seen;
	ck_assert_int_eq(board_create(&board, "board"), 0);
	ck_assert_int_eq(board_open(&seen, dup(board.shared.fd)), 0);
	for (uint64_t point = 1; point <= 2 * BOARD_POINTS; point++) {
		size_t offset = board_expect(&board, point, &device_times[_i].clock);
		ck_assert_uint_le(offset + sizeof(uint64_t), board.shared.size);
		ck_assert_uint_eq(board_read(&seen, point), device_times[_i].clock.ns);
		memcpy((char *)board.shared.memory + offset, &device_times[_i].ticks,
		       sizeof(uint64_t));
		ck_assert_uint_eq(board_read(&seen, point), device_times[_i].ns);
	}
	board_finish(&seen);
	board_finish(&board);
}
END_TEST

/* A board that one process makes, another writes, and the first reads. */
START_TEST(board_adopted)
{
	struct board board, writer;
	ck_assert_int_eq(board_create(&board, "board"), 0);
	ck_assert_int_eq(board_adopt(&writer, dup(board.shared.fd)), 0);
	ck_assert_uint_eq(board_read(&board, 7), 0);
	board_note(&writer, 7);
	ck_assert_uint_gt(board_read(&board, 7), 0);
	ck_assert_uint_eq(board_read(&board, 7), board_read(&writer, 7));
	board_finish(&writer);
	board_finish(&board);
	ck_assert_int_eq(board_adopt(&writer, open("/dev/null", O_RDWR | O_CLOEXEC)), -EPROTO);
}
END_TEST

/* ----------------------------------------------------------------------------------- stamps -- */

static const uint32_t numbers[] = { 0, 1, 2, 0x55555555, 0xaaaaaaaa, 0x7fffffff, UINT32_MAX };
static const unsigned int widths[] = { 160, 176, 320, 640, 1920 };

START_TEST(stamp_round_trip)
{
	for (size_t i = 0; i < sizeof(widths) / sizeof(widths[0]); i++) {
		uint8_t *memory = calloc(1, picture_bytes(widths[i], 128));
		struct picture picture = picture_at(memory, widths[i], 128);
		uint32_t number;
		ck_assert_uint_le(stamp_height(widths[i]), 128);
		stamp_write(&picture, numbers[_i]);
		ck_assert_int_eq(stamp_read(&picture, &number), 0);
		ck_assert_uint_eq(number, numbers[_i]);
		free(memory);
	}
}
END_TEST

/* The positions given to code that writes stamps and digits by other means are those used here. */
START_TEST(stamp_and_digits_described)
{
	uint8_t *memory = calloc(1, picture_bytes(640, 360));
	struct picture picture = picture_at(memory, 640, 360);
	const uint32_t number = 1234567890;
	uint64_t bits = stamp_bits(number);
	struct glyph_place place = glyph_place(640, 360, stamp_height(640), number);
	stamp_write(&picture, number);
	glyph_draw_number(&picture, stamp_height(640), number);
	for (unsigned int i = 0; i < 48; i++) {
		size_t x = i % stamp_columns(640) * STAMP_CELL,
		       y = i / stamp_columns(640) * STAMP_CELL;
		ck_assert_int_eq(memory[y * picture.strides[0] + x],
				 bits >> (47 - i) & 1 ? 235 : 16);
	}
	ck_assert_uint_eq(place.count, 10);
	for (unsigned int row = 0; row < GLYPH_ROWS; row++) {
		unsigned int shape = 0;
		size_t y = place.y + row * place.block;
		for (unsigned int column = 0; column < GLYPH_COLUMNS; column++) {
			size_t x = place.x + column * place.block;
			shape = shape << 1 | (memory[y * picture.strides[0] + x] == 235);
		}
		ck_assert_uint_eq(shape, glyph_row(1, row)); /* the first digit */
	}
	ck_assert_uint_eq(glyph_place(160, 32, 32, number).block, 0);
	free(memory);
}
END_TEST

/* Halves of two numbers give none; neither do grey, black and white. */
START_TEST(stamp_torn)
{
	uint8_t *memory = calloc(1, picture_bytes(320, 240));
	struct picture picture = picture_at(memory, 320, 240);
	unsigned int height = stamp_height(320);
	uint8_t *half = malloc(picture.strides[0] * height);
	uint32_t number;
	for (uint32_t i = 0; i < 1000; i++) {
		stamp_write(&picture, i);
		memcpy(half, memory, picture.strides[0] * height / 2);
		stamp_write(&picture, i + 12345);
		memcpy(memory, half, picture.strides[0] * height / 2);
		ck_assert_int_eq(stamp_read(&picture, &number), -EBADMSG);
	}
	for (int grey = 0; grey < 256; grey++) {
		memset(picture.planes[0], grey, picture.strides[0] * height);
		ck_assert_int_eq(stamp_read(&picture, &number), -EBADMSG);
	}
	free(half);
	free(memory);
}
END_TEST

/* --------------------------------------------------------------------------------- canvases -- */

#define MARGIN 0x11 /* around the part that a canvas may touch */

static const struct {
	unsigned int width, height;
	unsigned int x, y, shown_width, shown_height; /* position of a picture of 320x180 */
} canvases[] = {
	{ 320, 180, 0, 0, 320, 180 }, { 640, 480, 160, 150, 320, 180 },
	{ 321, 181, 0, 0, 320, 180 }, { 319, 180, 79, 45, 160, 90 },
	{ 200, 100, 20, 5, 160, 90 }, { 160, 60, 27, 0, 106, 60 },
};

static struct canvas canvas_new(unsigned int width, unsigned int height)
{
	struct canvas canvas = { .stride = (width + 3) * sizeof(uint32_t),
				 .width = width,
				 .height = height,
				 .dmabuf = -1 };
	canvas.memory = malloc(canvas.stride * (height + 1));
	memset(canvas.memory, MARGIN, canvas.stride * (height + 1));
	return canvas;
}

/* The changed pixels, as a rectangle that must be full. */
static void expect_drawn(const struct canvas *canvas, unsigned int left, unsigned int top,
			 unsigned int width, unsigned int height)
{
	for (unsigned int y = 0; y <= canvas->height; y++) {
		const uint32_t *row =
			(const uint32_t *)(const void *)((const uint8_t *)canvas->memory +
							 y * canvas->stride);
		for (unsigned int x = 0; x < canvas->stride / sizeof(uint32_t); x++) {
			bool inside = x >= left && x < left + width && y >= top && y < top + height;
			ck_assert_msg((row[x] != 0x11111111) == inside, "pixel %u, %u", x, y);
		}
	}
}

START_TEST(canvas_round_trip)
{
	uint8_t *memory = calloc(1, picture_bytes(320, 180));
	struct picture picture = picture_at(memory, 320, 180);
	struct canvas canvas = canvas_new(canvases[_i].width, canvases[_i].height);
	uint32_t number;
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		stamp_write(&picture, numbers[i]);
		canvas_draw(&canvas, &picture);
		ck_assert_int_eq(canvas_read(&canvas, 320, 180, &number), 0);
		ck_assert_uint_eq(number, numbers[i]);
	}
	expect_drawn(&canvas, canvases[_i].x, canvases[_i].y, canvases[_i].shown_width,
		     canvases[_i].shown_height);
	free(canvas.memory);
	free(memory);
}
END_TEST

static const struct {
	uint8_t y, u, v;
	uint32_t pixel;
} colours[] = {
	{ 16, 128, 128, 0x000000 },  { 235, 128, 128, 0xffffff }, { 0, 128, 128, 0x000000 },
	{ 255, 128, 128, 0xffffff }, { 82, 90, 240, 0xff0000 },   { 145, 54, 34, 0x00ff00 },
	{ 41, 240, 110, 0x0000ff },
};

/* Within two steps of each colour: the primaries have no exact place in I420. */
START_TEST(canvas_colours)
{
	uint8_t *memory = calloc(1, picture_bytes(160, 128));
	struct picture picture = picture_at(memory, 160, 128);
	struct canvas canvas = canvas_new(160, 128);
	memset(picture.planes[0], colours[_i].y, picture.strides[0] * 128);
	memset(picture.planes[1], colours[_i].u, picture.strides[1] * 64);
	memset(picture.planes[2], colours[_i].v, picture.strides[2] * 64);
	canvas_draw(&canvas, &picture);
	const uint8_t *pixel = canvas.memory;
	for (unsigned int i = 0; i < 3; i++) {
		int wanted = (int)(colours[_i].pixel >> (8 * i) & 0xff);
		ck_assert_int_le(abs(pixel[i] - wanted), 2);
	}
	free(canvas.memory);
	free(memory);
}
END_TEST

/* ------------------------------------------------------------------------------------ notes -- */

START_TEST(notes)
{
	const struct note note = { UINT64_MAX, 0x123456789abcdef0 };
	struct fbk_frame_meta meta = FBK_FRAME_META_INIT;
	struct note read = { 1, 1 };
	ck_assert_int_eq(note_read(&meta, &read), -EPROTO); /* none */
	note_write(&meta, &note);
	ck_assert_int_eq(note_read(&meta, &read), 0);
	ck_assert_uint_eq(read.number, note.number);
	ck_assert_uint_eq(read.checksum, note.checksum);
	for (uint32_t size = 0; size <= FBK_FRAME_USER_MAX; size++) {
		bool right = meta.user_size == size;
		struct fbk_frame_meta other = meta;
		other.user_size = size;
		ck_assert_int_eq(note_read(&other, &read), right ? 0 : -EPROTO);
	}
	note_write(&meta, &(struct note){ .number = 0 }); /* frames count from 1 */
	ck_assert_int_eq(note_read(&meta, &read), -EPROTO);
	ck_assert_uint_eq(read.number, note.number);
}
END_TEST

/* The test vectors of FNV-1a's authors; and any bit counts. */
START_TEST(note_checksums)
{
	char data[] = "foobar";
	ck_assert_uint_eq(note_checksum(data, 0), 0xcbf29ce484222325);
	ck_assert_uint_eq(note_checksum("a", 1), 0xaf63dc4c8601ec8c);
	ck_assert_uint_eq(note_checksum(data, 6), 0x85944171f73967e8);
	for (size_t bit = 0; bit < 8 * 6; bit++) {
		data[bit / 8] = (char)(data[bit / 8] ^ 1 << bit % 8);
		ck_assert_uint_ne(note_checksum(data, 6), 0x85944171f73967e8);
		data[bit / 8] = (char)(data[bit / 8] ^ 1 << bit % 8);
	}
}
END_TEST

/* ------------------------------------------------------------------------------- histograms -- */

START_TEST(quantiles)
{
	static struct histogram histogram;
	memset(&histogram, 0, sizeof(histogram));
	ck_assert_uint_eq(histogram_quantile(&histogram, 500), 0);
	for (uint64_t value = 1; value <= 10000; value++) {
		histogram_add(&histogram, value * 1000);
	}
	for (unsigned int permille = 1; permille <= 1000; permille++) {
		uint64_t exact = (uint64_t)permille * 10000;
		uint64_t found = histogram_quantile(&histogram, permille);
		ck_assert_uint_ge(found, exact);
		ck_assert_uint_le(found, exact + exact / HISTOGRAM_STEPS);
	}
	ck_assert_uint_eq(histogram_quantile(&histogram, 1000), 10000 * 1000);
	histogram_add(&histogram, UINT64_MAX);
	ck_assert_uint_eq(histogram_quantile(&histogram, 1000), UINT64_MAX);
	for (size_t bucket = 1; bucket < HISTOGRAM_BUCKETS; bucket++) {
		ck_assert_uint_gt(histogram_bucket_start(bucket),
				  histogram_bucket_start(bucket - 1));
	}
}
END_TEST

static void add(TCase *tcase)
{
	ADD_LOOP(tcase, picture_sizes, sizes);
	tcase_add_test(tcase, picture_planes);
	ADD_LOOP(tcase, board_ticks, device_times);
	tcase_add_test(tcase, board_adopted);
	tcase_add_test(tcase, stamp_and_digits_described);
	ADD_LOOP(tcase, stamp_round_trip, numbers);
	tcase_add_test(tcase, stamp_torn);
	ADD_LOOP(tcase, canvas_round_trip, canvases);
	ADD_LOOP(tcase, canvas_colours, colours);
	tcase_add_test(tcase, notes);
	tcase_add_test(tcase, note_checksums);
	tcase_add_test(tcase, quantiles);
}

int main(void)
{
	return suite_main("pipeline", add);
}
