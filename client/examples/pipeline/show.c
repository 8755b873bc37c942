// SPDX-License-Identifier: MIT
/*
 * A display: a device that waits for nothing, or for kernel fences, and signals kernel fences. It makes the
 * buffers that the encoder draws into, and holds two: the one on screen, and the next. A gate commits each
 * frame when the encoder's point is reached, or the frame is committed before that, with a promised sync_file
 * as the IN_FENCE. The fence by which the display reports a frame on screen releases the one before.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>
#include <xf86drm.h>

#include "canvas.h"
#include "clock.h"
#include "fence-kms.h"
#include "intake.h"
#include "screen.h"
#include "stage.h"
#include "viewer.h"

#define BLANK VIEWER_BUFFERS /* shown before and after the frames */
#define HOLD  2

struct show {
	struct stage stage;
	struct screen screen;
	struct intake intake;
	struct fbk_frame *on_screen; /* NULL: it is blank */
	uint64_t frame;              /* committed, or awaited */
	int32_t out_fence;           /* of its commit; -1: none yet */
	int gate;                    /* its result: 0, a negative errno, or PENDING */
};

#define PENDING 1

/* ----------------------------------------------------------------------------------- meeting -- */

/* What the encoder is to draw into. */
static int send_buffers(struct show *show)
{
	struct stage *stage = &show->stage;
	const struct screen *screen = &show->screen;
	const struct message buffers = {
		.type = MESSAGE_BUFFERS,
		.count = VIEWER_BUFFERS,
		.width = screen->width,
		.height = screen->height,
		.stride = screen->buffers[0].stride,
	};
	int fds[VIEWER_BUFFERS];
	for (size_t i = 0; i < VIEWER_BUFFERS; i++) {
		fds[i] = screen->buffers[i].dmabuf;
	}
	stage->stats.buffers = VIEWER_BUFFERS;
	int r = channel_send(&show->intake.channel, &buffers, fds, VIEWER_BUFFERS);
	return r < 0 ? stage_stop(stage, r, "connecting to the encoder", "%s", strerror(-r)) : 0;
}

static int meet_encoder(struct show *show)
{
	struct stage *stage = &show->stage;
	const struct message *offer = &show->intake.offer;
	char error[160] = "";
	int r = intake_meet(&show->intake, stage);
	if (r < 0) {
		return r;
	}
	r = screen_open(&show->screen, stage->options->card, offer->width, offer->height,
			VIEWER_BUFFERS + 1, error, sizeof(error));
	if (r < 0) {
		return stage_stop(stage, r, "starting", "%s", error);
	}
	r = send_buffers(show);
	return r < 0 ? r : intake_open(&show->intake, HOLD, &stage->stats.handovers[0]);
}

/* The buffer of the frame is one of this display's. */
static int buffer_check(struct show *show)
{
	const struct fbk_frame *frame = show->intake.frame;
	uint32_t index = fbk_frame_index(frame), handle;
	if (index >= VIEWER_BUFFERS ||
	    drmPrimeFDToHandle(show->screen.card, fbk_frame_buffer(frame)->fd[0], &handle) < 0 ||
	    handle != show->screen.buffers[index].handle) {
		return stage_stop(&show->stage, -EPROTO, "showing",
				  "buffer %u of the encoder is not the display's", index);
	}
	return 0;
}

/* ------------------------------------------------------------------------------------ a flip -- */

/* After the commit: the frame before is released when this one is on screen. */
static int release_before(struct show *show)
{
	struct stage *stage = &show->stage;
	int fence = show->out_fence;
	int r = 0;
	show->out_fence = -1;
	if (show->on_screen) {
		r = fbk_frame_release_on(show->on_screen, fence);
		stage->stats.imports++;
	} else {
		close(fence);
	}
	fbk_frame_unref(show->on_screen);
	show->on_screen = NULL;
	return r < 0 ? stage_stop_call(stage, r, "releasing a frame") : 0;
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
	const struct fbk_frame *frame = show->intake.frame;
	drmModeAtomicReq *request =
		screen_request(&show->screen, fbk_frame_index(frame), -1, &show->out_fence);
	if (!request) {
		return stage_stop(stage, -ENOMEM, "flipping", "%s", strerror(ENOMEM));
	}
	show->gate = PENDING;
	int r = fbk_gate_atomic_commit(fbk_frame_acquire(frame), stage_deadline(stage),
				       show->screen.card, request, SCREEN_FLIP,
				       (void *)(uintptr_t)show->frame, gate_done, show, NULL);
	drmModeAtomicFree(request);
	return r < 0 ? stage_stop_call(stage, r, "flipping") : 0;
}

static int commit_promised(struct show *show)
{
	struct stage *stage = &show->stage;
	struct fbk_frame *frame = show->intake.frame;
	int fd = fbk_frame_acquire_fd(frame, stage_deadline(stage));
	if (fd < 0) {
		return stage_stop_call(stage, fd, "flipping");
	}
	stage->stats.promises++;
	int r = screen_flip(&show->screen, fbk_frame_index(frame), fd, &show->out_fence,
			    show->frame);
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
		board_note(&show->intake.board, show->frame - 1);
	}
	/* The display waited on the kernel fence, which can't report a broken promise. */
	return r < 0 ? r : fbk_frame_error(show->intake.frame);
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
	const struct screen_buffer *buffer =
		&show->screen.buffers[fbk_frame_index(show->intake.frame)];
	struct canvas canvas = { .memory = buffer->memory,
				 .stride = buffer->stride,
				 .width = show->screen.width,
				 .height = show->screen.height,
				 .dmabuf = -1 };
	uint32_t number = 0;
	stage->stats.checks++;
	int r = canvas_read(&canvas, show->intake.offer.width, show->intake.offer.height, &number);
	if (r < 0 || number != (uint32_t)show->frame) {
		stage->stats.mismatches++;
		return stage_stop(stage, -EBADMSG, "showing",
				  "frame %u is on screen, not frame %llu", number,
				  (unsigned long long)show->frame);
	}
	return 0;
}

static int show_frame(struct show *show)
{
	struct intake *intake = &show->intake;
	int r = intake_next(intake);
	if (r == 0) {
		show->frame = intake->note.number;
		r = buffer_check(show);
	}
	if (r == 0) {
		r = intake->route == FBK_ROUTE_GATE ? commit_by_gate(show) : commit_promised(show);
	}
	if (r == 0) {
		r = intake_wait_with(intake, wait_for_flip, show);
	}
	if (r == 0) {
		r = check_frame(show);
	}
	if (r == 0) {
		show->on_screen = intake_keep(intake);
		stats_frame(&show->stage.stats);
	}
	return r;
}

/* ---------------------------------------------------------------------------------------- end -- */

/* Releases the last buffer too. */
static int blank(struct show *show)
{
	struct stage *stage = &show->stage;
	struct screen_event event;
	show->frame++;
	int r = screen_flip(&show->screen, BLANK, -1, &show->out_fence, show->frame);
	if (r < 0) {
		return stage_stop(stage, r, "flipping", "%s", strerror(-r));
	}
	r = release_before(show);
	if (r == 0) {
		r = screen_event(&show->screen, stage->options->deadline_ms, &event);
		board_note(&show->intake.board, show->frame - 1);
		r = r < 0 ? stage_stop(stage, r, "flipping", "%s", strerror(-r)) : 0;
	}
	return r;
}

static int run(struct show *show)
{
	int r = meet_encoder(show);
	while (r == 0 && !show->intake.last) {
		r = show_frame(show);
	}
	if (r == 0) {
		r = blank(show);
	}
	return r == 0 ? intake_end(&show->intake) : r;
}

int main(int argc, char **argv)
{
	struct options options = { .name = "show" };
	struct show show = { .intake.channel.fd = -1, .screen.card = -1, .out_fence = -1 };
	int status = 2;
	if (options_parse(&options, argc, argv, "l", &status) < 0) {
		return status;
	}
	const struct fbk_device_desc desc = {
		.struct_size = sizeof(struct fbk_device_desc),
		.device_class = FBK_CLASS_DISPLAY,
		.waits = options.promise ? FBK_FENCE_SYNC_FILE : 0,
		.signals = FBK_FENCE_SYNC_FILE,
		/* A link would take the late sync_file before a promise. */
		.routes = options.promise
				  ? 1U << FBK_ROUTE_SYNC_FILE_PROMISE | 1U << FBK_ROUTE_CPU_WAIT
				  : 0,
	};
	if (stage_start(&show.stage, &options, &desc) == 0) {
		run(&show);
	}
	status = stage_finish(&show.stage);
	fbk_frame_unref(show.on_screen);
	intake_finish(&show.intake);
	screen_close(&show.screen);
	return status;
}
