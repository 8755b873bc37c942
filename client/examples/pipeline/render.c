// SPDX-License-Identifier: MIT
/*
 * A renderer: a device with memory fences. It draws moving pictures into shared buffers, with Vulkan if there
 * is a device. It hands each frame over when it begins it; the acquire point in memory is signalled when the
 * frame is drawn. It draws into a buffer again once all consumers released it.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "outlet.h"
#include "painter.h"
#include "picture.h"
#include "shared.h"
#include "stage.h"

#define BUFFERS OUTLET_BUFFERS

struct render {
	struct stage stage;
	const struct painter_kind *kind;
	struct painter *painter;
	char said[512]; /* which painter, and why */
	struct outlet outlet;
	struct shared buffers[BUFFERS];
	uint32_t index;     /* of the buffer that gets the next frame */
	struct lane *drawn; /* point n: frame n is drawn */
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

/* Offer the buffers and the timeline to the consumers. */
static int introduce(struct render *render)
{
	struct stage *stage = &render->stage;
	const struct options *options = stage->options;
	struct fbk_buffer_desc buffers[BUFFERS];
	struct message message = { .width = options->width,
				   .height = options->height,
				   .fps = options->fps,
				   .stamped = true };
	int r = stage_lane_create(stage, "done", 0, &render->drawn);
	if (r == 0) {
		r = render->kind->meet(render->painter, stage, render->drawn);
	}
	if (r < 0) {
		return r;
	}
	/* Slow setup is done: other processes may wait for this one from here on. */
	printf("%s\n", render->said);
	fflush(stdout);
	r = outlet_connect(&render->outlet, stage, &render->drawn->board, &message,
			   options->connects, options->connect_count, stage->stats.handovers);
	for (size_t i = 0; r == 0 && i < BUFFERS; i++) {
		buffers[i] = outlet_picture_buffer(render->buffers[i].fd, options->width,
						   options->height);
	}
	return r < 0 ? r : outlet_open(&render->outlet, buffers, BUFFERS);
}

/*
 * Shows that the point comes without this process's code. A hardware device goes on while the process is
 * stopped. A software device consists of threads of this process, so then only the submitting thread stops.
 */
static void stop(const struct render *render, uint64_t frame)
{
	bool thread = render->kind->software(render->painter);
	sigset_t continued;
	int signal;
	fprintf(stderr, "frame %llu is submitted, %s stops\n", (unsigned long long)frame,
		thread ? "the thread that did it" : "the process");
	if (!thread) {
		raise(SIGSTOP);
		return;
	}
	sigemptyset(&continued);
	sigaddset(&continued, SIGCONT);
	sigwait(&continued, &signal);
}

static int draw(struct render *render, uint64_t frame)
{
	const struct options *options = render->stage.options;
	int r = render->kind->begin(render->painter, render->index, frame);
	if (r == 0 && options->delay_ms > 0) {
		clock_sleep_until(clock_now() + options->delay_ms * NS_PER_MS);
	}
	if (r == 0) {
		r = render->kind->draw(render->painter, render->index, frame, !options->early);
	}
	if (r == 0 && frame == options->stop_at) {
		stop(render, frame);
	}
	return r;
}

static int hand(struct render *render, uint64_t frame, uint64_t due_ns, bool last)
{
	const struct fbk_point drawn = { render->drawn->timeline, frame };
	const struct note note = { .number = frame };
	struct fbk_frame_meta meta = FBK_FRAME_META_INIT;
	meta.pts_ns = (int64_t)due_ns;
	meta.duration_ns = (int64_t)(NS_PER_S / render->stage.options->fps);
	meta.flags = last ? FBK_FRAME_LAST : 0;
	return outlet_hand(&render->outlet, render->index, drawn, &note, &meta);
}

static int render_frame(struct render *render, uint64_t frame, uint64_t due_ns, bool last)
{
	struct stage *stage = &render->stage;
	int r = 0;
	if (stage->options->early) {
		r = render->kind->signal(render->painter, render->index, frame);
	}
	if (r == 0) {
		r = hand(render, frame, due_ns, last);
	}
	if (r == 0) {
		r = draw(render, frame);
	}
	if (r == 0) {
		stats_frame(&stage->stats);
		stage->stats.bytes += render->buffers[render->index].size;
	}
	return r;
}

static int run(struct render *render)
{
	const struct options *options = render->stage.options;
	uint64_t frames = (uint64_t)options->fps * options->seconds;
	int r = introduce(render);
	uint64_t began = clock_now();
	for (uint64_t frame = 1; r == 0 && frame <= frames; frame++) {
		uint64_t due_ns = began + (frame - 1) * NS_PER_S / options->fps;
		r = outlet_take(&render->outlet, &render->index); /* free by now, or soon */
		if (r == 0) {
			clock_sleep_until(due_ns);
			r = render_frame(render, frame, due_ns, frame == frames);
		}
	}
	return r == 0 ? outlet_drain(&render->outlet) : r;
}

static int prepare(struct render *render)
{
	struct stage *stage = &render->stage;
	const struct options *options = stage->options;
	int r = buffers_create(render, picture_bytes(options->width, options->height));
	if (r < 0) {
		return r;
	}
	r = painter_open(options, render->buffers, BUFFERS, &render->kind, &render->painter,
			 render->said, sizeof(render->said));
	if (r < 0) {
		return stage_stop(stage, r, "starting", "%s", render->said);
	}
	stage->stats.drawn_by = (struct drawn_by){
		.vulkan = render->kind == &painter_vulkan,
		.software = render->kind->software(render->painter),
		.said = render->said,
	};
	snprintf(stage->stats.drawn_by.name, sizeof(stage->stats.drawn_by.name), "%s",
		 render->kind->name(render->painter));
	return 0;
}

static int start(struct render *render, const struct options *options)
{
	struct fbk_device_desc desc;
	render->stage.options = options;
	int r = prepare(render);
	if (r < 0) {
		return r;
	}
	render->kind->describe(render->painter, &desc);
	return stage_start(&render->stage, options, &desc);
}

int main(int argc, char **argv)
{
	struct options options = { .name = "render" };
	struct render render = { 0 };
	int status = 2;
	if (options_parse(&options, argc, argv, "c", &status) < 0) {
		return status;
	}
	if (options.stop_at > 0) { /* blocked in all threads for sigwait() */
		sigset_t continued;
		sigemptyset(&continued);
		sigaddset(&continued, SIGCONT);
		sigprocmask(SIG_BLOCK, &continued, NULL);
	}
	if (start(&render, &options) == 0) {
		run(&render);
	}
	stage_tell(&render.stage);
	if (render.painter) { /* before its memory is freed */
		render.kind->close(render.painter);
	}
	status = stage_finish(&render.stage);
	outlet_finish(&render.outlet);
	for (size_t i = 0; i < BUFFERS; i++) {
		shared_finish(&render.buffers[i]);
	}
	return status;
}
