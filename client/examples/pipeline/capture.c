// SPDX-License-Identifier: MIT
/*
 * A source of captured pictures: a V4L2 device, or, if none is named, generated pictures. A V4L2 device has no
 * fences: a dequeued buffer is ready, so its point is signalled when the frame is handed over. The device gets a
 * buffer back, by system call, once all consumers released it. Frames carry the driver's numbers.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <drm_fourcc.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "outlet.h"
#include "picture.h"
#include "scene.h"
#include "shared.h"
#include "stamp.h"
#include "v4l2.h"

#define BUFFERS OUTLET_BUFFERS
_Static_assert(BUFFERS == V4L2_BUFFERS, "a buffer of the device is one of the exchange");

struct capture;

/* A buffer of the device that consumers read. */
struct lent {
	struct capture *capture;
	uint32_t index;
};

struct capture {
	struct stage stage;
	struct outlet outlet;
	struct lane *done;
	uint64_t frames;
	char said[160];

	/* generated pictures */
	struct scene *scene;
	struct shared buffers[BUFFERS];

	/* V4L2 device */
	struct v4l2 device;
	struct lent lent[BUFFERS];
	size_t lent_count;
	uint64_t handed, number; /* number of frames; number of the last one */
	int error;               /* of a requeue */
};

static int introduce(struct capture *capture, struct message *message,
		     const struct fbk_buffer_desc *buffers)
{
	struct stage *stage = &capture->stage;
	message->fps = stage->options->fps;
	stage->stats.buffers = BUFFERS;
	/* Other processes may wait for this one from here on. */
	printf("%s\n", capture->said);
	fflush(stdout);
	int r = outlet_connect(&capture->outlet, stage, &capture->done->board, message,
			       stage->options->connects, stage->options->connect_count,
			       stage->stats.handovers);
	for (size_t i = 0; r < 0 && i < BUFFERS; i++) {
		close(buffers[i].fd[0]);
	}
	return r < 0 ? r : outlet_open(&capture->outlet, buffers, BUFFERS);
}

/* What a frame says; `time_ns` is when its exposure was, or is to be thought of. */
static struct fbk_frame_meta frame_meta(const struct capture *capture, uint64_t time_ns, bool last)
{
	struct fbk_frame_meta meta = FBK_FRAME_META_INIT;
	meta.pts_ns = (int64_t)time_ns;
	meta.duration_ns = (int64_t)(NS_PER_S / capture->stage.options->fps);
	meta.flags = last ? FBK_FRAME_LAST : 0;
	return meta;
}

/* ------------------------------------------------------------------------------------- made up -- */

static int pretend_frame(struct capture *capture, uint64_t frame, uint64_t due_ns)
{
	const struct options *options = capture->stage.options;
	const struct note note = { .number = frame };
	uint32_t index;
	int r = outlet_take(&capture->outlet, &index);
	if (r < 0) {
		return r;
	}
	struct picture picture =
		picture_at(capture->buffers[index].memory, options->width, options->height);
	struct fbk_frame_meta meta = frame_meta(capture, due_ns, frame == capture->frames);
	scene_draw(capture->scene, &picture, (uint32_t)frame);
	stamp_write(&picture, (uint32_t)frame);
	r = stage_signal(&capture->stage, capture->done, frame);
	if (r == 0) {
		r = outlet_hand(&capture->outlet, index,
				(struct fbk_point){ capture->done->timeline, frame }, &note, &meta);
	}
	if (r == 0) {
		stats_frame(&capture->stage.stats);
	}
	return r;
}

static int pretend_introduce(struct capture *capture)
{
	const struct options *options = capture->stage.options;
	struct fbk_buffer_desc buffers[BUFFERS];
	struct message message = {
		.width = options->width,
		.height = options->height,
		.stamped = true,
	};
	int r = scene_create(options->width, options->height, &capture->scene);
	for (size_t i = 0; r == 0 && i < BUFFERS; i++) {
		r = shared_create(&capture->buffers[i], "picture",
				  picture_bytes(options->width, options->height));
	}
	if (r < 0) {
		return stage_stop(&capture->stage, r, "starting", "%s", strerror(-r));
	}
	for (size_t i = 0; i < BUFFERS; i++) {
		buffers[i] = outlet_picture_buffer(capture->buffers[i].fd, options->width,
						   options->height);
	}
	return introduce(capture, &message, buffers);
}

static int pretend_run(struct capture *capture)
{
	const struct options *options = capture->stage.options;
	int r = pretend_introduce(capture);
	uint64_t began = clock_now();
	for (uint64_t frame = 1; r == 0 && frame <= capture->frames; frame++) {
		uint64_t due_ns = began + (frame - 1) * NS_PER_S / options->fps;
		clock_sleep_until(due_ns);
		r = pretend_frame(capture, frame, due_ns);
	}
	return r == 0 ? outlet_drain(&capture->outlet) : r;
}

/* ------------------------------------------------------------------------------------ a device -- */

static int device_introduce(struct capture *capture)
{
	const struct v4l2 *device = &capture->device;
	struct fbk_buffer_desc buffers[BUFFERS];
	struct message message = { .width = device->width, .height = device->height };
	uint32_t luma = device->stride * device->height;
	for (size_t i = 0; i < BUFFERS; i++) {
		buffers[i] = (struct fbk_buffer_desc){
			.struct_size = sizeof(buffers[i]),
			.memory = FBK_MEMORY_DMABUF,
			.fd = { fcntl(device->dmabufs[i], F_DUPFD_CLOEXEC, 0), -1, -1, -1 },
			.width = device->width,
			.height = device->height,
			.fourcc = DRM_FORMAT_YUV420,
			.modifier = DRM_FORMAT_MOD_LINEAR,
			.plane_count = PICTURE_PLANES,
			.offset = { 0, luma, luma + luma / 4 },
			.stride = { device->stride, device->stride / 2, device->stride / 2 },
		};
	}
	return introduce(capture, &message, buffers);
}

/* All consumers released it. */
static void released(void *arg, int result)
{
	struct lent *lent = arg;
	struct capture *capture = lent->capture;
	if (result == 0) {
		outlet_note(&capture->outlet, lent->index, 0);
	} /* else a consumer is gone; the next check reports it */
	capture->lent_count--;
	int r = v4l2_queue(&capture->device, lent->index);
	capture->error = r < 0 ? r : capture->error;
}

/* The driver's number, unless it repeats one, as vivid does when starved of CPU: points must rise. */
static uint64_t frame_number(const struct capture *capture, uint32_t sequence)
{
	uint64_t number = (uint64_t)sequence + 1;
	return number > capture->number ? number : capture->number + 1;
}

static int device_hand(struct capture *capture, const struct v4l2_picture *picture, uint64_t number)
{
	struct lent *lent = &capture->lent[picture->index];
	const struct fbk_point done = { capture->done->timeline, number };
	const struct note note = { .number = number };
	struct fbk_frame_meta meta =
		frame_meta(capture, picture->time_ns, capture->handed + 1 == capture->frames);
	meta.capture_ns = meta.pts_ns;
	meta.capture = picture->at_start ? 1 : 2;
	meta.flags |= number > capture->number + 1 ? (uint32_t)FBK_FRAME_DISCONT : 0;
	*lent = (struct lent){ capture, picture->index };
	return outlet_lend(&capture->outlet, picture->index, done, &note, &meta, released, lent);
}

static int device_frame(struct capture *capture)
{
	struct stage *stage = &capture->stage;
	struct v4l2_picture picture;
	int r = v4l2_dequeue(&capture->device, &picture);
	if (r == -EAGAIN) {
		return 0;
	}
	if (r < 0) {
		return stage_stop(stage, r, "capturing", "%s", strerror(-r));
	}
	uint64_t number = frame_number(capture, picture.sequence);
	r = stage_signal(stage, capture->done, number);
	if (r == 0) {
		r = device_hand(capture, &picture, number);
	}
	if (r == 0) {
		stage->stats.dropped += capture->handed > 0 ? number - capture->number - 1 : 0;
		capture->number = number;
		capture->lent_count++;
		capture->handed++;
		stats_frame(&stage->stats);
	}
	return r;
}

/* Wait for a frame, if one is wanted, or for a buffer that comes back. */
static int device_wait(struct capture *capture)
{
	struct stage *stage = &capture->stage;
	uint64_t began = clock_now();
	struct pollfd wanted[] = {
		{ .fd = fbk_context_fd(stage->context), .events = POLLIN },
		{ .fd = capture->device.fd, .events = POLLIN },
	};
	nfds_t count = capture->handed < capture->frames ? 2 : 1;
	stage->suspect[0] = '\0';
	for (unsigned int quarter = 3; quarter <= 4; quarter++) {
		int r = poll(wanted, count, clock_poll_ms(stage_quarter(stage, began, quarter)));
		if (r < 0 && errno != EINTR) {
			return stage_stop(stage, -errno, "capturing", "%s", strerror(errno));
		}
		if (r != 0) {
			return 0;
		}
		r = outlet_late(&capture->outlet, quarter);
		if (r < 0) {
			return r;
		}
	}
	return 0;
}

static int device_run(struct capture *capture)
{
	struct stage *stage = &capture->stage;
	int r = device_introduce(capture);
	if (r == 0) {
		r = v4l2_start(&capture->device);
		r = r < 0 ? stage_stop(stage, r, "capturing", "%s", strerror(-r)) : 0;
	}
	while (r == 0 && (capture->handed < capture->frames || capture->lent_count > 0)) {
		r = device_wait(capture);
		if (r == 0) {
			r = fbk_dispatch(stage->context);
			r = r < 0 ? stage_stop_call(stage, r, "capturing") : 0;
		}
		if (r == 0 && capture->error < 0) {
			r = stage_stop(stage, capture->error, "returning a buffer", "%s",
				       strerror(-capture->error));
		}
		if (r == 0) {
			r = outlet_check(&capture->outlet);
		}
		if (r == 0 && capture->handed < capture->frames) {
			r = device_frame(capture);
		}
	}
	return r == 0 ? outlet_drain(&capture->outlet) : r;
}

/* ---------------------------------------------------------------------------------------- both -- */

static int source_open(struct capture *capture)
{
	struct stage *stage = &capture->stage;
	const struct options *options = stage->options;
	struct v4l2 *device = &capture->device;
	struct drawn_by *by = &stage->stats.drawn_by;
	char error[128];
	by->said = capture->said;
	by->software = !options->device;
	if (!options->device) {
		snprintf(by->name, sizeof(by->name), "generated");
		snprintf(capture->said, sizeof(capture->said),
			 "generated pictures: no device was named");
		return 0;
	}
	int r = v4l2_open(device, options->device, options->width, options->height, options->fps,
			  error, sizeof(error));
	if (r < 0) {
		return stage_stop(stage, r, options->device, "%s", error);
	}
	const char *why;
	if (picture_check_size(device->width, device->height, &why) < 0) {
		return stage_stop(stage, -EINVAL, options->device, "%ux%u: %s", device->width,
				  device->height, why);
	}
	snprintf(by->name, sizeof(by->name), "%s", device->card);
	snprintf(capture->said, sizeof(capture->said), "%s (%s, %s), %ux%u", options->device,
		 device->card, device->driver, device->width, device->height);
	return 0;
}

static int run(struct capture *capture)
{
	const struct options *options = capture->stage.options;
	/* A device driven by system calls, or one that fills memory and signals in memory. */
	const struct fbk_device_desc desc = {
		.struct_size = sizeof(struct fbk_device_desc),
		.device_class = FBK_CLASS_CAPTURE,
		.waits = options->device ? 0 : FBK_FENCE_MEMORY64,
		.signals = options->device ? 0 : FBK_FENCE_MEMORY64,
	};
	capture->stage.options = options;
	capture->frames = (uint64_t)options->fps * options->seconds;
	int r = source_open(capture);
	if (r == 0) {
		r = stage_start(&capture->stage, options, &desc);
	}
	if (r == 0) {
		r = stage_lane_create(&capture->stage, "done", 0, &capture->done);
	}
	if (r < 0) {
		return r;
	}
	return options->device ? device_run(capture) : pretend_run(capture);
}

int main(int argc, char **argv)
{
	struct options options = { .name = "capture" };
	struct capture capture = { .device.fd = -1 };
	int status = 2;
	if (options_parse(&options, argc, argv, "c", &status) < 0) {
		return status;
	}
	capture.stage.options = &options;
	run(&capture);
	status = stage_finish(&capture.stage);
	outlet_finish(&capture.outlet);
	v4l2_close(&capture.device);
	scene_destroy(capture.scene);
	for (size_t i = 0; i < BUFFERS; i++) {
		shared_finish(&capture.buffers[i]);
	}
	return status;
}
