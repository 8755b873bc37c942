// SPDX-License-Identifier: MIT
/*
 * Frames of this process for its consumers: an exchange with a link to each. A frame's number, from 1, goes
 * with it. Buffers come back in any order. One thread at a time.
 */
#pragma once

#include "note.h"
#include "picture.h"
#include "stage.h"

#define OUTLET_BUFFERS   6 /* pictures: an encoder may hold four, one is drawn, one is spare */
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
	struct board *done; /* when each frame was finished */
	struct outlet_consumer consumers[OUTLET_CONSUMERS];
	size_t count;
	uint64_t numbers[FBK_BUFFERS_MAX]; /* of the frame that is out in each buffer; 0: none */
};

/*
 * Connect to the consumers at `paths` and send them the offers. `message` describes the frames. Notes
 * measurements in `handovers`, one a consumer. All functions here return 0 or the error given to
 * stage_stop().
 */
int outlet_connect(struct outlet *outlet, struct stage *stage, struct board *done,
		   struct message *message, const char *const *paths, size_t count,
		   struct handover *handovers);

/* Add the buffers; takes their fds. Then wait for all consumers. */
int outlet_open(struct outlet *outlet, const struct fbk_buffer_desc *buffers, size_t count);
void outlet_finish(struct outlet *outlet); /* takes a zeroed one */

/* A buffer for a picture in the layout of picture_at(), and one for bytes; both duplicate `fd`. */
struct fbk_buffer_desc outlet_picture_buffer(int fd, unsigned int width, unsigned int height);
struct fbk_buffer_desc outlet_bytes_buffer(int fd);

/* Take a free buffer: when all consumers released what was in it. */
int outlet_take(struct outlet *outlet, uint32_t *ret_index);

/* Hand it over, with the note added to `meta`. */
int outlet_hand(struct outlet *outlet, uint32_t index, struct fbk_point acquire,
		const struct note *note, struct fbk_frame_meta *meta);

/* The same for a buffer that `fn` gets back, not outlet_take(). */
int outlet_lend(struct outlet *outlet, uint32_t index, struct fbk_point acquire,
		const struct note *note, struct fbk_frame_meta *meta, fbk_released_fn *fn,
		void *arg);

/* Note the latencies of the frame in that buffer, which is back; the wait for it began at `began`. */
void outlet_note(struct outlet *outlet, uint32_t index, uint64_t began);

/* Check that all consumers are still there. */
int outlet_check(struct outlet *outlet);

/* No buffer came back in time. `quarter` 3: ask for blame; 4: stop with it. */
int outlet_late(struct outlet *outlet, unsigned int quarter);

/* Wait until all frames are back, and let the consumers go. */
int outlet_drain(struct outlet *outlet);
