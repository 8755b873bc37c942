// SPDX-License-Identifier: MIT
/*
 * A renderer that draws on the pictures of another renderer or of a capture device: it reads each picture once
 * that is ready, copies it into its own buffer, and draws a border and a number on top. Both ends are links. It
 * hands over its own frame before its input is ready.
 */
#include <errno.h>
#include <string.h>

#include "glyph.h"
#include "intake.h"
#include "outlet.h"
#include "shared.h"
#include "stamp.h"

#define BUFFERS OUTLET_BUFFERS
#define BORDER  4
#define WHITE   235

struct compose {
	struct stage stage;
	struct intake intake;
	struct outlet outlet;
	struct shared buffers[BUFFERS];
	uint32_t index; /* of the buffer that gets the next frame */
	struct lane *drawn;
};

static int introduce(struct compose *compose)
{
	struct stage *stage = &compose->stage;
	struct message message = compose->intake.offer;
	struct fbk_buffer_desc buffers[BUFFERS];
	message.stamped = true;
	for (size_t i = 0; i < BUFFERS; i++) {
		int r = shared_create(&compose->buffers[i], "picture",
				      picture_bytes(message.width, message.height));
		if (r < 0) {
			return stage_stop(stage, r, "making a buffer", "%s", strerror(-r));
		}
		stage->stats.buffers++;
	}
	int r = stage_lane_create(stage, "done", 0, &compose->drawn);
	if (r == 0) {
		r = outlet_connect(&compose->outlet, stage, &compose->drawn->board, &message,
				   stage->options->connects, stage->options->connect_count,
				   &stage->stats.handovers[1]);
	}
	for (size_t i = 0; r == 0 && i < BUFFERS; i++) {
		buffers[i] = outlet_picture_buffer(compose->buffers[i].fd, message.width,
						   message.height);
	}
	return r < 0 ? r : outlet_open(&compose->outlet, buffers, BUFFERS);
}

static void copy(const struct picture *to, const struct picture *from)
{
	for (size_t i = 0; i < PICTURE_PLANES; i++) {
		unsigned int half = i > 0 ? 2 : 1;
		for (unsigned int y = 0; y < to->height / half; y++) {
			memcpy(to->planes[i] + y * to->strides[i],
			       from->planes[i] + y * from->strides[i], to->width / half);
		}
	}
}

/* Below the stamp. */
static void draw_frame(const struct picture *picture)
{
	unsigned int top = stamp_height(picture->width);
	for (unsigned int y = top; y < picture->height; y++) {
		uint8_t *row = picture->planes[0] + y * picture->strides[0];
		bool edge = y < top + BORDER || y >= picture->height - BORDER;
		memset(row, WHITE, edge ? picture->width : BORDER);
		memset(row + picture->width - BORDER, WHITE, BORDER);
	}
}

static int draw(struct compose *compose, uint64_t frame)
{
	struct intake *intake = &compose->intake;
	struct picture picture = picture_at(compose->buffers[compose->index].memory,
					    intake->offer.width, intake->offer.height);
	int r = intake_wait(intake);
	if (r == 0) {
		r = intake_check(intake, "before it is read");
	}
	if (r < 0) {
		return r;
	}
	copy(&picture, &intake->picture);
	r = intake_check(intake, "after it was read");
	if (r == 0) {
		r = intake_release(intake);
	}
	draw_frame(&picture);
	glyph_draw_number(&picture, stamp_height(picture.width), (uint32_t)frame);
	stamp_write(&picture, (uint32_t)frame);
	return r;
}

/* What the input says of its time holds for what is drawn on it. */
static int hand(struct compose *compose, uint64_t frame)
{
	const struct fbk_point drawn = { compose->drawn->timeline, frame };
	const struct note note = { .number = frame };
	struct fbk_frame_meta meta = *compose->intake.meta;
	return outlet_hand(&compose->outlet, compose->index, drawn, &note, &meta);
}

static int compose_frame(struct compose *compose, uint64_t frame)
{
	struct stage *stage = &compose->stage;
	int r = intake_next(&compose->intake);
	if (r == 0) {
		r = intake_picture(&compose->intake);
	}
	if (r == 0) {
		r = outlet_take(&compose->outlet, &compose->index);
	}
	if (r == 0) {
		r = hand(compose, frame);
	}
	if (r == 0) {
		r = draw(compose, frame);
	}
	if (r == 0) {
		r = stage_signal(stage, compose->drawn, frame);
	}
	if (r == 0) {
		stats_frame(&stage->stats);
		stage->stats.bytes += compose->buffers[0].size;
	}
	return r;
}

static int run(struct compose *compose)
{
	struct stage *stage = &compose->stage;
	struct intake *intake = &compose->intake;
	int r = intake_meet(intake, stage);
	if (r == 0) {
		r = intake_open(intake, 1, &stage->stats.handovers[0]);
	}
	if (r == 0) {
		r = introduce(compose);
	}
	for (uint64_t frame = 1; r == 0 && !intake->last; frame++) {
		r = compose_frame(compose, frame);
	}
	if (r == 0) {
		r = outlet_drain(&compose->outlet);
	}
	return r == 0 ? intake_end(intake) : r;
}

int main(int argc, char **argv)
{
	struct options options = { .name = "compose" };
	const struct fbk_device_desc desc = {
		.struct_size = sizeof(struct fbk_device_desc),
		.device_class = FBK_CLASS_GPU,
		.waits = FBK_FENCE_MEMORY64,
		.signals = FBK_FENCE_MEMORY64,
	};
	struct compose compose = { .intake.channel.fd = -1 };
	int status = 2;
	if (options_parse(&options, argc, argv, "lc", &status) < 0) {
		return status;
	}
	if (stage_start(&compose.stage, &options, &desc) == 0) {
		run(&compose);
	}
	status = stage_finish(&compose.stage);
	outlet_finish(&compose.outlet);
	intake_finish(&compose.intake);
	for (size_t i = 0; i < BUFFERS; i++) {
		shared_finish(&compose.buffers[i]);
	}
	return status;
}
