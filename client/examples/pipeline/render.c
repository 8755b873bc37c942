// SPDX-License-Identifier: MIT
/*
 * A renderer: a device with memory fences. It draws moving pictures into shared buffers, signals a
 * point in memory when one is drawn, and draws into a buffer again only when the encoder's release
 * point says so.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "picture.h"
#include "scene.h"
#include "shared.h"
#include "stage.h"
#include "stamp.h"

#define BUFFERS   4
#define NOT_DRAWN 0xffffffff /* stamped while a picture is being drawn */

struct render {
	struct stage stage;
	struct scene *scene;
	struct channel encoder;
	struct shared buffers[BUFFERS];
	struct lane *drawn; /* ours: point n: frame n is drawn */
	struct lane *free;  /* the encoder's: point n: frame n is not read any more */
};

static int buffers_create(struct render *render, size_t size)
{
	for (size_t i = 0; i < BUFFERS; i++) {
		int r = shared_create(&render->buffers[i], "picture", size);
		if (r < 0) {
			return stage_stop(&render->stage, r, "making a buffer", "%s", strerror(-r));
		}
		render->stage.stats.buffers++;
	}
	return 0;
}

/* Offer the buffers and the timeline; take the one that gives the buffers back. */
static int introduce(struct render *render, uint64_t frames)
{
	struct stage *stage = &render->stage;
	const struct options *options = stage->options;
	struct message message = { .type = MESSAGE_OFFER,
				   .count = BUFFERS,
				   .frames = frames,
				   .size = picture_bytes(options->width, options->height),
				   .width = options->width,
				   .height = options->height,
				   .fps = options->fps };
	int fds[MESSAGE_FDS_MAX];
	int r = buffers_create(render, message.size);
	if (r == 0) {
		r = stage_lane_create(stage, "render.done", 0, stage_acquire_rights(stage),
				      &render->drawn, &fds[BUFFERS], &fds[BUFFERS + 1]);
	}
	if (r < 0) {
		return r;
	}
	for (size_t i = 0; i < BUFFERS; i++) {
		fds[i] = render->buffers[i].fd;
	}
	r = channel_connect(options->connect, stage_deadline(stage), &render->encoder);
	if (r == 0) {
		r = channel_send(&render->encoder, &message, fds, BUFFERS + 2);
	}
	close(fds[BUFFERS]); /* the token */
	if (r == 0) {
		r = channel_receive(&render->encoder, stage_deadline(stage), MESSAGE_ACCEPT,
				    &message, fds, 2);
	}
	if (r < 0) {
		return stage_stop(stage, r, "meeting the encoder", "%s: %s", options->connect,
				  strerror(-r));
	}
	return stage_lane_open(stage, "encode.free", fds[0], fds[1], &render->free);
}

static void draw(struct render *render, uint64_t frame)
{
	const struct options *options = render->stage.options;
	struct picture picture = picture_at(render->buffers[frame % BUFFERS].memory, options->width,
					    options->height);
	stamp_write(&picture, NOT_DRAWN);
	if (options->delay_ms > 0) {
		clock_sleep_until(clock_now() + options->delay_ms * NS_PER_MS);
	}
	scene_draw(render->scene, &picture, (uint32_t)frame);
	stamp_write(&picture, (uint32_t)frame);
}

static int render_frame(struct render *render, uint64_t frame)
{
	struct stage *stage = &render->stage;
	int r = 0;
	if (frame > BUFFERS) { /* the first use of a buffer waits for nobody */
		r = stage_wait(stage, render->free, frame - BUFFERS, &stage->stats.handovers[0]);
	}
	if (r == 0 && stage->options->early) {
		r = stage_signal(stage, render->drawn, frame);
	}
	if (r < 0) {
		return r;
	}
	draw(render, frame);
	stats_frame(&stage->stats);
	stage->stats.bytes += render->buffers[frame % BUFFERS].size;
	return stage->options->early ? 0 : stage_signal(stage, render->drawn, frame);
}

static int run(struct render *render)
{
	const struct options *options = render->stage.options;
	uint64_t frames = (uint64_t)options->fps * options->seconds;
	int r = scene_create(options->width, options->height, &render->scene);
	if (r < 0) {
		return stage_stop(&render->stage, r, "starting", "%s", strerror(-r));
	}
	r = introduce(render, frames);
	uint64_t began = clock_now();
	for (uint64_t frame = 1; r == 0 && frame <= frames; frame++) {
		clock_sleep_until(began + (frame - 1) * NS_PER_S / options->fps);
		r = render_frame(render, frame);
	}
	/* Whoever leaves before its points were seen takes nothing back; but the last buffers are
	 * ours until they were given back. */
	uint64_t left = frames < BUFFERS ? frames : BUFFERS;
	for (uint64_t frame = frames - left + 1; r == 0 && frame <= frames; frame++) {
		r = stage_wait(&render->stage, render->free, frame,
			       &render->stage.stats.handovers[0]);
	}
	return r;
}

int main(int argc, char **argv)
{
	struct options options = { .name = "render" };
	struct fbk_device_desc desc = {
		.name = "render0",
		.class = FBK_GPU,
		.waits = FBK_MEMORY64,
		.signals = FBK_MEMORY64,
	};
	struct render render = { .encoder.fd = -1 };
	int status = 2;
	if (options_parse(&options, argc, argv, "c", &status) < 0) {
		return status;
	}
	render.stage.stats.handovers[0].name = "encode.free";
	render.stage.stats.handovers[0].route =
		options.sync_files ? "sync_file -> memory64" : "eventfd -> memory64";
	if (stage_start(&render.stage, &options, &desc) == 0) {
		run(&render);
	}
	status = stage_finish(&render.stage);
	channel_close(&render.encoder);
	scene_destroy(render.scene);
	for (size_t i = 0; i < BUFFERS; i++) {
		shared_finish(&render.buffers[i]);
	}
	return status;
}
