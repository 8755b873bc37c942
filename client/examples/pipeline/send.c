// SPDX-License-Identifier: MIT
/*
 * A network sender: a device with memory fences. It sends the encoder's bitstream as MPEG-TS directly from
 * the shared slots, and releases each slot by a point in memory.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "muxer.h"
#include "picture.h"
#include "shared.h"
#include "slot.h"
#include "stage.h"

struct send {
	struct stage stage;
	struct muxer *muxer;
	struct channel encoder;
	struct message offer;
	struct shared ring;
	struct lane *encoded; /* the encoder's: frame n is in its slot */
	struct lane *sent;    /* signalled here: frame n's slot is free */
};

static int ring_open(struct send *send, int fd)
{
	const struct message *offer = &send->offer;
	const char *why = "it is not a ring of slots";
	if (offer->count != SLOT_COUNT || offer->fps < 1 || offer->frames < 1 ||
	    picture_check_size(offer->width, offer->height, &why) < 0 ||
	    offer->size != slot_bytes(offer->width, offer->height)) {
		close(fd);
		return stage_stop(&send->stage, -EPROTO, "the encoder's offer", "%s", why);
	}
	int r = shared_open(&send->ring, fd, SLOT_COUNT * offer->size);
	return r < 0 ? stage_stop(&send->stage, r, "the encoder's offer", "%s", why) : 0;
}

static int meet_encoder(struct send *send)
{
	struct stage *stage = &send->stage;
	struct message accept = { .type = MESSAGE_ACCEPT };
	int listener, fds[3], back[2];
	int r = channel_listen(stage->options->listen, &listener);
	if (r < 0) {
		return stage_stop(stage, r, stage->options->listen, "%s", strerror(-r));
	}
	r = channel_accept(listener, stage_deadline(stage), &send->encoder);
	close(listener);
	if (r == 0) {
		r = channel_receive(&send->encoder, stage_deadline(stage), MESSAGE_OFFER,
				    &send->offer, fds, 3);
	}
	if (r < 0) {
		return stage_stop(stage, r, "connecting to the encoder", "%s", strerror(-r));
	}
	r = stage_lane_open(stage, "encode.done", fds[1], fds[2], &send->encoded);
	if (r == 0) {
		r = ring_open(send, fds[0]);
	}
	if (r == 0) {
		r = stage_lane_share(stage, "done", 0, FBK_RIGHT_WAIT, &send->sent, &back[0],
				     &back[1]);
	}
	if (r < 0) {
		return r;
	}
	r = channel_send(&send->encoder, &accept, back, 2);
	close(back[0]);
	return r < 0 ? stage_stop(stage, r, "connecting to the encoder", "%s", strerror(-r)) : 0;
}

static int check(struct send *send, struct slot slot, uint64_t frame, const char *when)
{
	send->stage.stats.checks++;
	if (slot_check(slot, frame) < 0) {
		send->stage.stats.mismatches++;
		return stage_stop(&send->stage, -EBADMSG, "sending",
				  "the slot of frame %llu has a wrong frame number %s",
				  (unsigned long long)frame, when);
	}
	return 0;
}

static int send_frame(struct send *send, uint64_t frame)
{
	struct stage *stage = &send->stage;
	struct slot slot = slot_at(send->ring.memory, send->offer.size, frame);
	char error[128] = "";
	int r = stage_wait(stage, send->encoded, frame, &stage->stats.handovers[0]);
	if (r == 0) {
		r = check(send, slot, frame, "before it is read");
	}
	if (r < 0) {
		return r;
	}
	size_t size = slot_data_size(slot);
	r = muxer_write(send->muxer, slot_data(slot), size, frame, slot_key(slot), error,
			sizeof(error));
	if (r < 0) {
		return stage_stop(stage, r, "sending", "%s", error[0] ? error : strerror(-r));
	}
	r = check(send, slot, frame, "after it was read");
	if (r < 0) {
		return r;
	}
	stats_frame(&stage->stats);
	stage->stats.bytes += size;
	return stage_signal(stage, send->sent, frame);
}

static int run(struct send *send)
{
	struct stage *stage = &send->stage;
	char error[128] = "";
	int r = meet_encoder(send);
	if (r < 0) {
		return r;
	}
	const struct message *offer = &send->offer;
	r = muxer_create(stage->options->url, offer->width, offer->height, offer->fps, &send->muxer,
			 error, sizeof(error));
	if (r < 0) {
		return stage_stop(stage, r, "starting", "%s", error[0] ? error : strerror(-r));
	}
	for (uint64_t frame = 1; r == 0 && frame <= offer->frames; frame++) {
		r = send_frame(send, frame);
	}
	if (r == 0) {
		r = muxer_end(send->muxer, error, sizeof(error));
		if (r < 0) {
			stage_stop(stage, r, "ending the stream", "%s", error);
		}
	}
	return r;
}

int main(int argc, char **argv)
{
	struct options options = { .name = "send" };
	struct fbk_device_desc desc = {
		.class = FBK_NETWORK,
		.waits = FBK_MEMORY64,
		.signals = FBK_MEMORY64,
	};
	struct send send = { .encoder.fd = -1 };
	int status = 2;
	if (options_parse(&options, argc, argv, "lu", &status) < 0) {
		return status;
	}
	send.stage.stats.handovers[0].name = "encode.done";
	send.stage.stats.handovers[0].route =
		options.sync_files ? "sync_file -> memory64" : "eventfd -> memory64";
	if (stage_start(&send.stage, &options, &desc) == 0) {
		run(&send);
	}
	status = stage_finish(&send.stage);
	channel_close(&send.encoder);
	muxer_destroy(send.muxer);
	shared_finish(&send.ring);
	return status;
}
