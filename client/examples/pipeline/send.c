// SPDX-License-Identifier: MIT
/*
 * A network sender: a device with memory fences. It sends the encoder's bitstream as MPEG-TS directly from
 * the shared buffers, and gives each back once it is sent.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "intake.h"
#include "muxer.h"
#include "stage.h"

struct send {
	struct stage stage;
	struct muxer *muxer;
	struct intake intake;
	int64_t origin_ns; /* of the stream's time: when the first packet is decoded */
};

/* A packet of the current frame: its producer said how long it is, and may say anything. */
static int packet_take(struct send *send, struct muxer_packet *ret_packet)
{
	const struct intake *intake = &send->intake;
	const struct fbk_frame_meta *meta = intake->meta;
	if (meta->bytes_used[0] == 0 || meta->data_offset[0] != 0 ||
	    meta->bytes_used[0] + (uint64_t)MUXER_PADDING > intake->map->size ||
	    meta->pts_ns == FBK_TIME_NONE || meta->dts_ns == FBK_TIME_NONE) {
		return stage_stop(&send->stage, -EPROTO, "sending",
				  "frame %llu is not a packet of a bitstream",
				  (unsigned long long)intake->note.number);
	}
	if (intake->note.number == 1) {
		send->origin_ns = meta->dts_ns;
	}
	*ret_packet = (struct muxer_packet){
		.data = intake->map->memory,
		.size = meta->bytes_used[0],
		.pts_ns = meta->pts_ns - send->origin_ns,
		.dts_ns = meta->dts_ns - send->origin_ns,
		.duration_ns = meta->duration_ns,
		.key = meta->flags & FBK_FRAME_KEY,
	};
	return 0;
}

static int check(struct send *send, const struct muxer_packet *packet, const char *when)
{
	const struct note *note = &send->intake.note;
	send->stage.stats.checks++;
	if (note_checksum(packet->data, packet->size) != note->checksum) {
		send->stage.stats.mismatches++;
		return stage_stop(&send->stage, -EBADMSG, "sending",
				  "the bitstream of frame %llu has a wrong checksum %s",
				  (unsigned long long)note->number, when);
	}
	return 0;
}

static int send_packet(struct send *send)
{
	struct stage *stage = &send->stage;
	struct muxer_packet packet;
	char error[128] = "";
	int r = packet_take(send, &packet);
	if (r == 0) {
		r = check(send, &packet, "before it is read");
	}
	if (r < 0) {
		return r;
	}
	r = muxer_write(send->muxer, &packet, error, sizeof(error));
	if (r < 0) {
		return stage_stop(stage, r, "sending", "%s", error[0] ? error : strerror(-r));
	}
	stats_frame(&stage->stats);
	stage->stats.bytes += packet.size;
	return check(send, &packet, "after it was read");
}

static int send_frame(struct send *send)
{
	struct intake *intake = &send->intake;
	int r = intake_next(intake);
	if (r == 0) {
		r = intake_map(intake);
	}
	if (r == 0) {
		r = intake_wait(intake);
	}
	if (r == 0) {
		r = send_packet(send);
	}
	return r < 0 ? r : intake_release(intake);
}

static int run(struct send *send)
{
	struct stage *stage = &send->stage;
	struct intake *intake = &send->intake;
	const struct message *offer = &intake->offer;
	char error[128] = "";
	int r = intake_meet(intake, stage);
	if (r < 0) {
		return r;
	}
	r = muxer_create(stage->options->url, offer->width, offer->height, offer->fps, &send->muxer,
			 error, sizeof(error));
	if (r < 0) {
		return stage_stop(stage, r, "starting", "%s", error[0] ? error : strerror(-r));
	}
	r = intake_open(intake, 1, &stage->stats.handovers[0]);
	while (r == 0 && !intake->last) {
		r = send_frame(send);
	}
	if (r == 0) {
		r = muxer_end(send->muxer, error, sizeof(error));
		r = r < 0 ? stage_stop(stage, r, "ending the stream", "%s", error) : 0;
	}
	return r == 0 ? intake_end(intake) : r;
}

int main(int argc, char **argv)
{
	struct options options = { .name = "send" };
	const struct fbk_device_desc desc = {
		.struct_size = sizeof(struct fbk_device_desc),
		.device_class = FBK_CLASS_NETWORK,
		.waits = FBK_FENCE_MEMORY64,
		.signals = FBK_FENCE_MEMORY64,
	};
	struct send send = { .intake.channel.fd = -1 };
	int status = 2;
	if (options_parse(&options, argc, argv, "lu", &status) < 0) {
		return status;
	}
	if (stage_start(&send.stage, &options, &desc) == 0) {
		run(&send);
	}
	status = stage_finish(&send.stage);
	muxer_destroy(send.muxer);
	intake_finish(&send.intake);
	return status;
}
