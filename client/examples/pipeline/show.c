// SPDX-License-Identifier: MIT
/*
 * A display: a device without memory fences that waits on and signals kernel fences. It owns the buffers
 * that the encoder draws into. A gate commits each frame when the encoder's point is reached, or the
 * frame is committed before that, with a promised sync_file as the IN_FENCE. A frame's buffer is free
 * when the display reports the next frame on screen.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "canvas.h"
#include "clock.h"
#include "screen.h"
#include "stage.h"
#include "viewer.h"

#define BLANK VIEWER_BUFFERS /* shown before and after the frames */

struct show {
	struct stage stage;
	struct screen screen;
	struct channel encoder;
	struct message offer;
	struct lane *shown; /* the encoder's: frame n is in its buffer */
	struct lane *free;  /* signalled here: frame n is off the screen */
	uint64_t frame;     /* committed, or awaited */
	int32_t out_fence;  /* of its commit; -1: none yet */
	int gate;           /* its result: 0, a negative errno, or PENDING */
};

#define PENDING 1

/* ----------------------------------------------------------------------------------- meeting -- */

static int meet_encoder(struct show *show)
{
	struct stage *stage = &show->stage;
	int listener, fds[2];
	int r = channel_listen(stage->options->listen, &listener);
	if (r < 0) {
		return stage_stop(stage, r, stage->options->listen, "%s", strerror(-r));
	}
	r = channel_accept(listener, stage_deadline(stage), &show->encoder);
	close(listener);
	if (r == 0) {
		r = channel_receive(&show->encoder, stage_deadline(stage), MESSAGE_OFFER,
				    &show->offer, fds, 2);
	}
	if (r < 0) {
		return stage_stop(stage, r, "connecting to the encoder", "%s", strerror(-r));
	}
	const char *why = "it must have frames, and no buffers";
	if (show->offer.count != 0 || show->offer.frames < 1 ||
	    picture_check_size(show->offer.width, show->offer.height, &why) < 0) {
		close(fds[0]);
		close(fds[1]);
		return stage_stop(stage, -EPROTO, "the encoder's offer", "%s", why);
	}
	return stage_lane_open(stage, "encode.shown", fds[0], fds[1], &show->shown);
}

static int hand_buffers(struct show *show)
{
	struct stage *stage = &show->stage;
	const struct screen *screen = &show->screen;
	struct message accept = {
		.type = MESSAGE_ACCEPT,
		.count = VIEWER_BUFFERS,
		.size = screen->buffers[0].size,
		.width = screen->width,
		.height = screen->height,
		.stride = screen->buffers[0].stride,
	};
	int fds[VIEWER_BUFFERS + 2];
	for (size_t i = 0; i < VIEWER_BUFFERS; i++) {
		fds[i] = screen->buffers[i].dmabuf;
	}
	int r = stage_lane_share(stage, "free", FBK_TIMELINE_BROKERED, FBK_RIGHT_WAIT, &show->free,
				 &fds[VIEWER_BUFFERS], &fds[VIEWER_BUFFERS + 1]);
	if (r < 0) {
		return r;
	}
	stage->stats.buffers = VIEWER_BUFFERS;
	r = channel_send(&show->encoder, &accept, fds, VIEWER_BUFFERS + 2);
	close(fds[VIEWER_BUFFERS]);
	return r < 0 ? stage_stop(stage, r, "connecting to the encoder", "%s", strerror(-r)) : 0;
}

/* ------------------------------------------------------------------------------------ a flip -- */

static unsigned int buffer_of(const struct show *show)
{
	return (unsigned int)(show->frame % VIEWER_BUFFERS);
}

/* After the commit: the buffer of the frame before is free when this one is on screen. */
static int release_before(struct show *show)
{
	struct stage *stage = &show->stage;
	int fence = show->out_fence;
	show->out_fence = -1;
	if (show->frame == 1) { /* the one before was blank */
		close(fence);
		return 0;
	}
	int r = fbk_point_signal_on((struct fbk_point){ show->free->timeline, show->frame - 1 },
				    fence);
	if (r < 0) {
		return stage_stop_call(stage, r, show->free->name);
	}
	stage->stats.imports++;
	return 0;
}

static void gate_done(void *arg, struct fbk_point point, int result)
{
	struct show *show = arg;
	(void)point;
	show->gate = result;
}

static int commit_by_gate(struct show *show)
{
	struct stage *stage = &show->stage;
	struct fbk_point point = { show->shown->timeline, show->frame };
	drmModeAtomicReq *request =
		screen_request(&show->screen, buffer_of(show), -1, &show->out_fence);
	if (!request) {
		return stage_stop(stage, -ENOMEM, "flipping", "%s", strerror(ENOMEM));
	}
	show->gate = PENDING;
	int r = fbk_gate_atomic_commit(point, stage_deadline(stage), show->screen.card, request,
				       SCREEN_FLIP, (void *)(uintptr_t)show->frame, gate_done, show,
				       NULL);
	drmModeAtomicFree(request);
	return r < 0 ? stage_stop_call(stage, r, show->shown->name) : 0;
}

static int commit_promised(struct show *show)
{
	struct stage *stage = &show->stage;
	int fd;
	int r = stage_promise(stage, show->shown, show->frame, &fd);
	if (r < 0) {
		return r;
	}
	r = screen_flip(&show->screen, buffer_of(show), fd, &show->out_fence, show->frame);
	close(fd);
	if (r < 0) {
		return stage_stop(stage, r, "flipping", "%s", strerror(-r));
	}
	show->gate = 0;
	return release_before(show);
}

static int take_event(struct show *show)
{
	struct screen_event event;
	int r = screen_event(&show->screen, 0, &event);
	if (r == 0 && event.frame != show->frame) {
		r = -EPROTO;
	}
	if (show->frame > 1) {
		/* A waiter that the fence woke first reads an old time, and counts from its own. */
		board_note(&show->free->board, show->frame - 1);
	}
	/* The display waited on the kernel fence, which can't report a broken promise. */
	return r < 0 ? r
		     : fbk_point_check((struct fbk_point){ show->shown->timeline, show->frame });
}

/* The gate opens if there is one, and the frame is on screen. */
static int wait_for_flip(void *arg, struct fbk_point point, uint64_t deadline_ns)
{
	struct show *show = arg;
	(void)point;
	struct pollfd wanted[] = {
		{ .fd = show->screen.card, .events = POLLIN },
		{ .fd = fbk_context_fd(show->stage.context), .events = POLLIN },
	};
	for (;;) {
		int r = poll(wanted, 2, clock_poll_ms(deadline_ns));
		if (r <= 0) {
			return r == 0 ? -ETIMEDOUT : -errno; /* no signal handler interrupts it */
		}
		if (wanted[0].revents & POLLIN) {
			return take_event(show);
		}
		r = fbk_dispatch(show->stage.context);
		if (r < 0 || show->gate < 0) {
			return r < 0 ? r : show->gate;
		}
		if (show->gate == 0 && show->out_fence >= 0) {
			r = release_before(show);
			if (r < 0) {
				return r;
			}
		}
	}
}

static int check_frame(struct show *show)
{
	struct stage *stage = &show->stage;
	const struct screen_buffer *buffer = &show->screen.buffers[buffer_of(show)];
	struct canvas canvas = { .memory = buffer->memory,
				 .stride = buffer->stride,
				 .width = show->screen.width,
				 .height = show->screen.height,
				 .dmabuf = -1 };
	uint32_t number = 0;
	stage->stats.checks++;
	int r = canvas_read(&canvas, show->offer.width, show->offer.height, &number);
	if (r < 0 || number != (uint32_t)show->frame) {
		stage->stats.mismatches++;
		return stage_stop(stage, -EBADMSG, "showing",
				  "frame %u is on screen, not frame %llu", number,
				  (unsigned long long)show->frame);
	}
	return 0;
}

static int show_frame(struct show *show, uint64_t frame)
{
	struct stage *stage = &show->stage;
	show->frame = frame;
	/* No promise for frame 1: the encoder has not delivered yet. */
	int r = stage->options->promise && frame > 1 ? commit_promised(show) : commit_by_gate(show);
	if (r == 0) {
		r = stage_wait_with(stage, show->shown, frame, wait_for_flip, show,
				    &stage->stats.handovers[0]);
	}
	if (r == 0) {
		r = check_frame(show);
	}
	if (r == 0) {
		stats_frame(&stage->stats);
	}
	return r;
}

/* ---------------------------------------------------------------------------------------- end -- */

/* Releases the last buffer too, and stays until the broker has seen that. */
static int blank(struct show *show)
{
	struct stage *stage = &show->stage;
	struct screen_event event;
	uint64_t last = show->frame++;
	int r = screen_flip(&show->screen, BLANK, -1, &show->out_fence, show->frame);
	if (r < 0) {
		return stage_stop(stage, r, "flipping", "%s", strerror(-r));
	}
	r = release_before(show);
	if (r == 0) {
		r = screen_event(&show->screen, stage->options->deadline_ms, &event);
		r = r < 0 ? stage_stop(stage, r, "flipping", "%s", strerror(-r)) : 0;
	}
	if (r == 0) {
		r = fbk_point_wait((struct fbk_point){ show->free->timeline, last },
				   stage_deadline(stage));
		r = r < 0 ? stage_stop_call(stage, r, show->free->name) : 0;
	}
	return r;
}

static int run(struct show *show)
{
	struct stage *stage = &show->stage;
	char error[160] = "";
	int r = meet_encoder(show);
	if (r < 0) {
		return r;
	}
	r = screen_open(&show->screen, stage->options->card, show->offer.width, show->offer.height,
			VIEWER_BUFFERS + 1, error, sizeof(error));
	if (r < 0) {
		return stage_stop(stage, r, "starting", "%s", error);
	}
	r = hand_buffers(show);
	for (uint64_t frame = 1; r == 0 && frame <= show->offer.frames; frame++) {
		r = show_frame(show, frame);
	}
	return r == 0 ? blank(show) : r;
}

int main(int argc, char **argv)
{
	struct options options = { .name = "show" };
	struct fbk_device_desc desc = {
		.class = FBK_DISPLAY,
		.waits = FBK_SYNC_FILE,
		.signals = FBK_SYNC_FILE,
	};
	struct show show = { .encoder.fd = -1, .screen.card = -1, .out_fence = -1 };
	int status = 2;
	if (options_parse(&options, argc, argv, "l", &status) < 0) {
		return status;
	}
	show.stage.stats.handovers[0].name = "encode.shown";
	show.stage.stats.handovers[0].route = options.promise
						      ? "memory64 -> KMS IN_FENCE_FD (promise)"
						      : "memory64 -> KMS commit (gate)";
	if (stage_start(&show.stage, &options, &desc) == 0) {
		run(&show);
	}
	status = stage_finish(&show.stage);
	channel_close(&show.encoder);
	screen_close(&show.screen);
	return status;
}
