// SPDX-License-Identifier: MIT
/*
 * An encoder: a device without memory fences. It consumes pictures of one link and produces frames of two:
 * bitstreams, and, with a display, pictures in the display's buffers. It waits on fences that the broker
 * exports, eventfds or kernel fences, and signals fences of the same kind: one when it no longer reads a
 * picture, in the order in which it encodes them, and one when the picture is in the display's buffer.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "encoder.h"
#include "intake.h"
#include "outlet.h"
#include "shared.h"
#include "viewer.h"

#define BITSTREAMS 8 /* buffers */
#define PACKET_MIN (128 * 1024)
#define PAGE       4096
_Static_assert(OUTLET_BUFFERS > ENCODER_PICTURES_MAX && ENCODER_PICTURES_MAX > OPTIONS_B_FRAMES,
	       "one is drawn while the encoder holds the others");

/* A picture under way. */
struct work {
	struct encoder_job job;
	struct fbk_frame_meta meta; /* of the picture */
};

struct encode {
	struct stage stage;
	const struct fence_kind *fences; /* kind that this device has */
	struct fence_maker *maker;
	struct encoder *encoder;
	struct intake intake;
	struct outlet outlet; /* bitstreams */
	struct shared bitstreams[BITSTREAMS];
	struct board done; /* when each bitstream was written */
	struct encoder_packet packet;
	uint32_t index; /* of the bitstream that it goes to */
	bool taken;
	uint64_t packets;
	struct viewer viewer; /* with --display only */
	struct work work[ENCODER_WINDOW];
};

/* ----------------------------------------------------------------------------------- meeting -- */

/* Room for any plausible packet of a picture of this size: a third of the picture, in whole pages. */
static size_t packet_room(unsigned int width, unsigned int height)
{
	size_t bytes = (size_t)width * height / 2;
	return bytes < PACKET_MIN ? PACKET_MIN : (bytes + PAGE - 1) / PAGE * PAGE;
}

static int meet_sender(struct encode *encode)
{
	struct stage *stage = &encode->stage;
	struct message message = encode->intake.offer;
	struct fbk_buffer_desc buffers[BITSTREAMS];
	size_t room = packet_room(message.width, message.height);
	int r = board_create(&encode->done, "bitstreams");
	for (size_t i = 0; r == 0 && i < BITSTREAMS; i++) {
		r = shared_create(&encode->bitstreams[i], "bitstream", room);
	}
	if (r < 0) {
		return stage_stop(stage, r, "making a bitstream's buffer", "%s", strerror(-r));
	}
	stage->stats.buffers = BITSTREAMS;
	r = outlet_connect(&encode->outlet, stage, &encode->done, &message,
			   stage->options->connects, 1, &stage->stats.handovers[1]);
	for (size_t i = 0; r == 0 && i < BITSTREAMS; i++) {
		buffers[i] = outlet_bytes_buffer(encode->bitstreams[i].fd);
	}
	return r < 0 ? r : outlet_open(&encode->outlet, buffers, BITSTREAMS);
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
		r = encoder_create(offer->width, offer->height, offer->fps,
				   encode->stage.options->b_frames, &encode->encoder, error,
				   sizeof(error));
	}
	return r < 0 ? stage_stop(&encode->stage, r, "starting", "%s",
				  error[0] ? error : strerror(-r))
		     : 0;
}

/* -------------------------------------------------------------------------------- what comes out -- */

static int failed(struct encode *encode, int r, const char *error)
{
	return stage_stop(&encode->stage, r, "encoding", "%s", error[0] ? error : strerror(-r));
}

/* A buffer for the next packet. */
static int packet_place(struct encode *encode)
{
	if (encode->taken) {
		return 0;
	}
	int r = outlet_take(&encode->outlet, &encode->index);
	if (r == 0) {
		const struct shared *bitstream = &encode->bitstreams[encode->index];
		encode->taken = true;
		encode->packet.memory = bitstream->memory;
		encode->packet.room = bitstream->size;
	}
	return r;
}

static void work_finish(struct encode *encode, struct work *work)
{
	struct stats *stats = &encode->stage.stats;
	stats->checks += work->job.checks;
	stats->mismatches += work->job.mismatches;
	encode->fences->finish(&work->job.shown.fence);
	encode->fences->finish(&work->job.released.fence);
	work->job = (struct encoder_job){ 0 };
}

/* It is complete: its size is known, and no fence is left to wait for. */
static int packet_hand(struct encode *encode, const struct fbk_frame_meta *picture, bool last)
{
	struct stage *stage = &encode->stage;
	const struct encoder_packet *packet = &encode->packet;
	const struct note note = { ++encode->packets, note_checksum(packet->memory, packet->size) };
	struct fbk_frame_meta meta = FBK_FRAME_META_INIT;
	meta.flags = (packet->key ? FBK_FRAME_KEY | FBK_FRAME_HEADER : 0) |
		     (last ? (uint32_t)FBK_FRAME_LAST : 0);
	meta.bytes_used[0] = (uint32_t)packet->size;
	meta.pts_ns = picture->pts_ns;
	meta.dts_ns = picture->pts_ns - packet->reorder * picture->duration_ns;
	meta.duration_ns = picture->duration_ns;
	meta.capture_ns = picture->capture_ns;
	meta.capture = picture->capture;
	board_note(&encode->done, note.number);
	encode->taken = false;
	stage->stats.bytes += packet->size;
	stats_frame(&stage->stats);
	return outlet_hand(&encode->outlet, encode->index, FBK_POINT_SIGNALLED, &note, &meta);
}

/* 0: one was handed over; -EAGAIN and -ENODATA as encoder_get(). */
static int packet_take(struct encode *encode)
{
	char error[128] = "";
	int r = packet_place(encode);
	if (r < 0) {
		return r;
	}
	r = encoder_get(encode->encoder, &encode->packet, error, sizeof(error));
	if (r == -EAGAIN || r == -ENODATA) {
		return r;
	}
	if (r < 0 && r != -EBADMSG) {
		return failed(encode, r, error);
	}
	struct work *work = &encode->work[encode->packet.job->frame % ENCODER_WINDOW];
	bool last = encode->intake.last && encode->packets + 1 == encode->intake.note.number;
	work_finish(encode, work);
	if (r < 0) {
		return failed(encode, r, error);
	}
	return packet_hand(encode, &work->meta, last);
}

/* -------------------------------------------------------------------------------- what goes in -- */

/* A fence of this device, for what it will do with a picture. */
static int output_fence(struct encode *encode, struct board *board, struct encoder_output *output,
			int *ret_fd)
{
	int r = encode->fences->create(encode->maker, &output->fence, ret_fd);
	if (r < 0) {
		return stage_stop(&encode->stage, r, "making a fence", "%s", strerror(-r));
	}
	output->board = board;
	encode->stage.stats.imports++;
	return 0;
}

/* The display's buffer goes ahead before the picture is in it. */
static int canvas_hand(struct encode *encode, struct work *work)
{
	int fd;
	int r = output_fence(encode, &encode->viewer.shown->board, &work->job.shown, &fd);
	if (r == 0) {
		r = viewer_hand(&encode->viewer, work->job.frame, fd, &work->meta,
				&work->job.canvas);
	}
	return r;
}

/* The picture goes back, and is free when this device has signalled the fence. */
static int picture_release(struct encode *encode, struct work *work)
{
	int fd;
	int r = output_fence(encode, &encode->intake.board, &work->job.released, &fd);
	return r < 0 ? r : intake_release_on(&encode->intake, fd);
}

static void work_begin(struct encode *encode, struct work *work)
{
	struct intake *intake = &encode->intake;
	work->meta = *intake->meta;
	work->job = (struct encoder_job){
		.fences = encode->fences,
		.frame = intake->note.number,
		.picture = intake->picture,
		.picture_size = intake->map->size -
				(size_t)(intake->picture.planes[0] - intake->map->memory),
	};
}

static int encode_frame(struct encode *encode)
{
	struct intake *intake = &encode->intake;
	char error[128] = "";
	int r = intake_next(intake);
	if (r == 0) {
		r = intake_picture(intake);
	}
	if (r == 0) {
		r = intake_wait(intake);
	}
	if (r == 0) {
		r = packet_place(encode);
	}
	if (r < 0) {
		return r;
	}
	struct work *work = &encode->work[intake->note.number % ENCODER_WINDOW];
	work_begin(encode, work);
	if (encode->stage.options->display) {
		r = canvas_hand(encode, work);
	}
	if (r == 0) {
		r = picture_release(encode, work);
	}
	if (r < 0) {
		return r;
	}
	r = encoder_put(encode->encoder, &work->job, &encode->packet, error, sizeof(error));
	if (r < 0) {
		work_finish(encode, work);
		return failed(encode, r, error);
	}
	r = packet_take(encode);
	return r == -EAGAIN ? 0 : r;
}

static int encode_rest(struct encode *encode)
{
	char error[128] = "";
	int r = packet_place(encode);
	if (r == 0) {
		r = encoder_put(encode->encoder, NULL, &encode->packet, error, sizeof(error));
		r = r < 0 ? failed(encode, r, error) : 0;
	}
	while (r == 0) {
		r = packet_take(encode);
	}
	return r == -ENODATA ? 0 : r;
}

/* ---------------------------------------------------------------------------------------- end -- */

static int run(struct encode *encode)
{
	struct stage *stage = &encode->stage;
	struct intake *intake = &encode->intake;
	int r = intake_meet(intake, stage);
	if (r == 0) {
		r = intake_open(intake, 1, &stage->stats.handovers[0]);
	}
	if (r == 0) {
		r = device_start(encode);
	}
	if (r == 0) {
		r = meet_sender(encode);
	}
	if (r == 0 && stage->options->display) {
		r = viewer_meet(&encode->viewer, stage, &intake->offer, &stage->stats.handovers[2]);
	}
	while (r == 0 && !intake->last) {
		r = encode_frame(encode);
	}
	if (r == 0) {
		r = encode_rest(encode);
	}
	if (r == 0) {
		r = outlet_drain(&encode->outlet);
	}
	if (r == 0 && stage->options->display) {
		r = outlet_drain(&encode->viewer.outlet);
	}
	return r == 0 ? intake_end(intake) : r;
}

int main(int argc, char **argv)
{
	struct options options = { .name = "encode" };
	struct fbk_device_desc desc = { .struct_size = sizeof(struct fbk_device_desc),
					.device_class = FBK_CLASS_ENCODER };
	struct encode encode = { .intake.channel.fd = -1 };
	int status = 2;
	if (options_parse(&options, argc, argv, "lc", &status) < 0) {
		return status;
	}
	encode.fences = options.sync_files ? &fence_sync_file : &fence_eventfd;
	encode.stage.options = &options;
	desc.waits = options.sync_files ? FBK_FENCE_SYNC_FILE : FBK_FENCE_EVENTFD;
	desc.signals = desc.waits;
	/* A link would take the late sync_file before a promise. */
	desc.routes =
		options.promise ? 1U << FBK_ROUTE_SYNC_FILE_PROMISE | 1U << FBK_ROUTE_CPU_WAIT : 0;
	encode.stage.stats.handovers[1].route = "memory64";
	encode.stage.stats.handovers[2].route = "KMS OUT_FENCE -> memory64";
	if (stage_start(&encode.stage, &options, &desc) == 0) {
		run(&encode);
	}
	status = stage_finish(&encode.stage);
	viewer_finish(&encode.viewer);
	outlet_finish(&encode.outlet);
	encoder_destroy(encode.encoder);
	for (size_t i = 0; i < ENCODER_WINDOW; i++) {
		encode.fences->finish(&encode.work[i].job.shown.fence);
		encode.fences->finish(&encode.work[i].job.released.fence);
	}
	encode.fences->close(encode.maker); /* after the links failed: it may signal fences */
	for (size_t i = 0; i < BITSTREAMS; i++) {
		shared_finish(&encode.bitstreams[i]);
	}
	board_finish(&encode.done);
	intake_finish(&encode.intake);
	return status;
}
