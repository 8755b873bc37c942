// SPDX-License-Identifier: MIT
/*
 * An encoder: a device without memory fences. It waits on fences that the broker exports, eventfds or
 * kernel fences, and signals fences of the same kind, which the broker imports: one when it no longer
 * reads the picture, one when the bitstream is written, and, with a display, one when the picture is in
 * the display's buffer.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "encoder.h"
#include "intake.h"
#include "picture.h"
#include "shared.h"
#include "slot.h"
#include "stage.h"
#include "viewer.h"

struct encode {
	struct stage stage;
	const struct fence_kind *fences; /* kind that this device has */
	struct fence_maker *maker;
	struct encoder *encoder;
	struct intake intake;
	struct channel sender;
	struct viewer viewer; /* used with --display only */
	struct shared ring;
	size_t slot_size;
	struct lane *free; /* signalled here: frame n is no longer read */
	struct lane *done; /* signalled here: frame n's bitstream is in its slot */
	struct lane *sent; /* the sender's: frame n's slot is free */
};

static int meet_sender(struct encode *encode)
{
	struct stage *stage = &encode->stage;
	struct message message = encode->intake.offer;
	const char *path = stage->options->connects[0];
	int fds[3];
	message.type = MESSAGE_OFFER;
	message.count = SLOT_COUNT;
	message.size = encode->slot_size = slot_bytes(message.width, message.height);
	int r = shared_create(&encode->ring, "bitstream", SLOT_COUNT * encode->slot_size);
	if (r < 0) {
		return stage_stop(stage, r, "making the ring", "%s", strerror(-r));
	}
	stage->stats.buffers = SLOT_COUNT;
	fds[0] = encode->ring.fd;
	r = stage_lane_share(stage, "done", FBK_TIMELINE_BROKERED, FBK_RIGHT_WAIT, &encode->done,
			     &fds[1], &fds[2]);
	if (r < 0) {
		return r;
	}
	r = channel_connect(path, stage_deadline(stage), &encode->sender);
	if (r == 0) {
		r = channel_send(&encode->sender, &message, fds, 3);
	}
	close(fds[1]);
	if (r == 0) {
		r = channel_receive(&encode->sender, stage_deadline(stage), MESSAGE_ACCEPT,
				    &message, fds, 2);
	}
	if (r < 0) {
		return stage_stop(stage, r, "connecting to the sender", "%s: %s", path,
				  strerror(-r));
	}
	return stage_lane_open(stage, "send.done", fds[0], fds[1], &encode->sent);
}

/* A fence of this device, and the point that follows it. */
static int output_submit(struct encode *encode, struct lane *lane, struct board *board,
			 uint64_t frame, struct encoder_output *output)
{
	int fd;
	int r = encode->fences->create(encode->maker, &output->fence, &fd);
	if (r < 0) {
		return stage_stop(&encode->stage, r, "making a fence", "%s", strerror(-r));
	}
	r = fbk_point_signal_on((struct fbk_point){ lane->timeline, frame }, fd);
	if (r < 0) {
		return stage_stop_call(&encode->stage, r, lane->name);
	}
	output->board = board;
	encode->stage.stats.imports++;
	return 0;
}

static int job_submit(struct encode *encode, struct encoder_job *job)
{
	struct lane *done = encode->done, *shown = encode->viewer.shown;
	struct fbk_point free = { encode->free->timeline, job->frame };
	int r = output_submit(encode, encode->free, &encode->intake.board, job->frame,
			      &job->released);
	if (r == 0) {
		r = intake_release_at(&encode->intake, free);
	}
	if (r == 0) {
		r = output_submit(encode, done, &done->board, job->frame, &job->done);
	}
	if (r == 0 && job->canvas.memory) {
		r = output_submit(encode, shown, &shown->board, job->frame, &job->shown);
	}
	return r;
}

static int job_run(struct encode *encode, struct encoder_job *job)
{
	struct stage *stage = &encode->stage;
	char error[128] = "";
	int r = job_submit(encode, job);
	if (r == 0) {
		r = encoder_run(encode->encoder, job, error, sizeof(error));
		if (r < 0) {
			stage_stop(stage, r, "encoding", "%s", error[0] ? error : strerror(-r));
		}
	}
	encode->fences->finish(&job->shown.fence);
	encode->fences->finish(&job->done.fence);
	encode->fences->finish(&job->released.fence);
	stage->stats.checks += job->checks;
	stage->stats.mismatches += job->mismatches;
	stage->stats.bytes += job->size;
	return r;
}

/* Waits until the outputs of the frame are released. */
static int outputs_wait(struct encode *encode, uint64_t frame, struct encoder_job *job)
{
	struct stage *stage = &encode->stage;
	enum stage_way way = stage_way_release(stage);
	int r = 0;
	if (frame > SLOT_COUNT) { /* the first use of a slot needs no wait */
		r = stage_wait_fence(stage, encode->sent, frame - SLOT_COUNT, way,
				     &stage->stats.handovers[1]);
	}
	if (r < 0 || !stage->options->display) {
		return r;
	}
	if (frame > VIEWER_BUFFERS) {
		r = stage_wait_fence(stage, encode->viewer.free, frame - VIEWER_BUFFERS, way,
				     &stage->stats.handovers[2]);
	}
	job->canvas = viewer_canvas(&encode->viewer, frame);
	return r;
}

static int encode_frame(struct encode *encode, uint64_t frame)
{
	struct stage *stage = &encode->stage;
	struct intake *intake = &encode->intake;
	struct encoder_job job = {
		.fences = encode->fences,
		.frame = frame,
		.slot = slot_at(encode->ring.memory, encode->slot_size, frame),
	};
	int r = intake_next(intake);
	if (r == 0) {
		r = intake_wait(intake);
	}
	if (r == 0) {
		job.picture = intake->picture;
		job.picture_size = intake->map->size -
				   (size_t)(intake->picture.planes[0] - intake->map->memory);
		r = outputs_wait(encode, frame, &job);
	}
	if (r == 0) {
		r = job_run(encode, &job);
	}
	if (r == 0) {
		stats_frame(&stage->stats);
	}
	return r;
}

static int device_start(struct encode *encode)
{
	const struct message *offer = &encode->intake.offer;
	char error[160] = "";
	if (!offer->stamped) {
		return stage_stop(
			&encode->stage, -EPROTO, "starting",
			"these pictures hold no frame numbers: put a renderer in between");
	}
	int r = encode->fences->open(&encode->maker, error, sizeof(error));
	if (r == 0) {
		r = encoder_create(offer->width, offer->height, offer->fps, &encode->encoder, error,
				   sizeof(error));
	}
	return r < 0 ? stage_stop(&encode->stage, r, "starting", "%s",
				  error[0] ? error : strerror(-r))
		     : 0;
}

/* Leaving fails the points that are not reached: stay until the last slot and buffer came back. By then
 * the broker has seen the last fences. */
static int last_wait(struct encode *encode, uint64_t frames)
{
	struct stage *stage = &encode->stage;
	enum stage_way way = stage_way_release(stage);
	int r = stage_wait_fence(stage, encode->sent, frames, way, &stage->stats.handovers[1]);
	if (r == 0 && stage->options->display) {
		r = stage_wait_fence(stage, encode->viewer.free, frames, way,
				     &stage->stats.handovers[2]);
	}
	return r;
}

static int run(struct encode *encode)
{
	struct stage *stage = &encode->stage;
	int r = intake_open(&encode->intake, stage, &stage->stats.handovers[0]);
	if (r == 0) {
		r = stage_lane_create(stage, "free", FBK_TIMELINE_BROKERED, false, &encode->free);
	}
	if (r == 0) {
		r = device_start(encode);
	}
	if (r == 0) {
		r = meet_sender(encode);
	}
	if (r == 0 && stage->options->display) {
		r = viewer_meet(&encode->viewer, stage, stage->options->display,
				&encode->intake.offer);
	}
	uint64_t frames = encode->intake.offer.frames;
	for (uint64_t frame = 1; r == 0 && frame <= frames; frame++) {
		r = encode_frame(encode, frame);
	}
	if (r == 0) {
		r = last_wait(encode, frames);
	}
	return r == 0 ? intake_end(&encode->intake) : r;
}

static void name_handovers(struct encode *encode)
{
	struct stage *stage = &encode->stage;
	struct handover *handovers = stage->stats.handovers;
	const char *release = stage_way_route(stage_way_release(stage));
	handovers[1].name = "send.done";
	handovers[1].route = release;
	if (stage->options->display) {
		handovers[2].name = "show.free";
		handovers[2].route = stage->options->sync_files
					     ? "KMS OUT_FENCE -> memory64 -> sync_file (late)"
					     : "KMS OUT_FENCE -> memory64 -> eventfd";
	}
}

int main(int argc, char **argv)
{
	struct options options = { .name = "encode" };
	struct fbk_device_desc desc = { .class = FBK_ENCODER };
	struct encode encode = { .intake.channel.fd = -1,
				 .sender.fd = -1,
				 .viewer.channel.fd = -1 };
	int status = 2;
	if (options_parse(&options, argc, argv, "lc", &status) < 0) {
		return status;
	}
	encode.fences = options.sync_files ? &fence_sync_file : &fence_eventfd;
	encode.stage.options = &options;
	desc.waits = options.sync_files ? FBK_SYNC_FILE : FBK_EVENTFD;
	desc.signals = desc.waits;
	/* A link would take the late sync_file before a promise; this device's fences are imported. */
	desc.routes =
		options.promise ? 1U << FBK_ROUTE_SYNC_FILE_PROMISE | 1U << FBK_ROUTE_CPU_WAIT : 0;
	name_handovers(&encode);
	if (stage_start(&encode.stage, &options, &desc) == 0) {
		run(&encode);
	}
	status = stage_finish(&encode.stage);
	channel_close(&encode.sender);
	viewer_finish(&encode.viewer);
	encoder_destroy(encode.encoder);
	encode.fences->close(encode.maker); /* after the timelines failed: it may signal fences */
	shared_finish(&encode.ring);
	intake_finish(&encode.intake);
	return status;
}
