// SPDX-License-Identifier: MIT
/*
 * Pictures of this process on their way to those who read them: an exchange, with a link to each. Frame n
 * is handed over when it is begun, may be read at point n of a timeline of ours, and lies in buffer
 * n % OUTLET_BUFFERS. One thread at a time.
 */
#pragma once

#include "picture.h"
#include "stage.h"

#define OUTLET_BUFFERS   4
#define OUTLET_CONSUMERS OPTIONS_CONNECTS

struct outlet_consumer {
	struct channel channel;
	struct fbk_link *link;
	struct board board; /* when it gave each frame back */
	struct handover *handover;
	char name[FBK_NAME_SIZE];
	char what[FBK_NAME_SIZE];
};

struct outlet {
	struct stage *stage;
	struct fbk_exchange *exchange;
	struct lane *done; /* ours: point n: frame n may be read */
	struct outlet_consumer consumers[OUTLET_CONSUMERS];
	size_t count;
	uint64_t taken; /* frames whose buffers were ours, or are */
};

/* A buffer of `fd`, of which this takes a duplicate: a picture as picture_at() lays it out. */
int outlet_picture_buffer(int fd, unsigned int width, unsigned int height,
			  struct fbk_buffer_desc *ret_buffer);

/* Meet those who listen where the options say. `message` says what will come; `buffers`, whose fds it
 * takes, are OUTLET_BUFFERS. Notes what it measures in the stage's handovers from `handover` on. All
 * functions here return 0 or what stage_stop() has seen. */
int outlet_open(struct outlet *outlet, struct stage *stage, struct lane *done,
		struct message *message, const struct fbk_buffer_desc *buffers,
		struct handover *handovers);
void outlet_finish(struct outlet *outlet); /* of a zeroed one: nothing */

/* The buffer of that frame, the next one, is ours: at once the first time, then when all consumers gave it
 * back. Of one that was taken before: nothing. */
int outlet_take(struct outlet *outlet, uint64_t frame);

/* It is on its way. */
int outlet_hand(struct outlet *outlet, uint64_t frame);

/* The same for a device that has an order of its own: that point, that buffer; `fn` when it is back. */
int outlet_hand_buffer(struct outlet *outlet, uint64_t number, uint32_t index, fbk_released_fn *fn,
		       void *arg);

/* Frame `number` is back since `began` or before. */
void outlet_note(struct outlet *outlet, uint64_t number, uint64_t began);

/* All consumers are there still. */
int outlet_check(struct outlet *outlet);

/* Nothing came back in time. `quarter` 3: who is asked for it; 4: stop with that. */
int outlet_late(struct outlet *outlet, unsigned int quarter);

/* All that was handed over, `frames` of them, is back. */
int outlet_drain(struct outlet *outlet, uint64_t frames);
