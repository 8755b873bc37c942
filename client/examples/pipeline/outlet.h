// SPDX-License-Identifier: MIT
/*
 * Pictures of this process for its consumers: an exchange with a link to each. Frame n is handed over when
 * it is begun, is readable at point n of this process's timeline, and lies in buffer n % OUTLET_BUFFERS.
 * One thread at a time.
 */
#pragma once

#include "picture.h"
#include "stage.h"

#define OUTLET_BUFFERS   4
#define OUTLET_CONSUMERS OPTIONS_CONNECTS

struct outlet_consumer {
	struct channel channel;
	struct fbk_link *link;
	struct board board; /* when this consumer released each frame */
	struct handover *handover;
	char name[FBK_NAME_SIZE];
	char what[FBK_NAME_SIZE];
};

struct outlet {
	struct stage *stage;
	struct fbk_exchange *exchange;
	struct lane *done; /* signalled here; point n: frame n is readable */
	struct outlet_consumer consumers[OUTLET_CONSUMERS];
	size_t count;
	uint64_t taken; /* frames whose buffers were taken */
};

/* A buffer for a picture in the layout of picture_at(); duplicates `fd`. */
int outlet_picture_buffer(int fd, unsigned int width, unsigned int height,
			  struct fbk_buffer_desc *ret_buffer);

/* Connect to the consumers that the options name. `message` describes the pictures; takes the fds of the
 * OUTLET_BUFFERS `buffers`. Notes measurements in the stage's handovers from `handover` on. All functions
 * here return 0 or the error given to stage_stop(). */
int outlet_open(struct outlet *outlet, struct stage *stage, struct lane *done,
		struct message *message, const struct fbk_buffer_desc *buffers,
		struct handover *handovers);
void outlet_finish(struct outlet *outlet); /* takes a zeroed one */

/* Take the buffer of that frame, the next one: at once the first time, later when all consumers released
 * it. No effect on a frame that was taken before. */
int outlet_take(struct outlet *outlet, uint64_t frame);

/* Hand it over. */
int outlet_hand(struct outlet *outlet, uint64_t frame);

/* The same for a device with its own buffer order: that point, that buffer; `fn` runs when it is back. */
int outlet_hand_buffer(struct outlet *outlet, uint64_t number, uint32_t index, fbk_released_fn *fn,
		       void *arg);

/* Note the latencies of frame `number`, which is back; the wait for it began at `began`. */
void outlet_note(struct outlet *outlet, uint64_t number, uint64_t began);

/* Check that all consumers are still there. */
int outlet_check(struct outlet *outlet);

/* No buffer came back in time. `quarter` 3: ask for blame; 4: stop with it. */
int outlet_late(struct outlet *outlet, unsigned int quarter);

/* Wait until all `frames` frames are back. */
int outlet_drain(struct outlet *outlet, uint64_t frames);
