// SPDX-License-Identifier: MIT
/*
 * An encoder as a device that knows nothing of memory fences: it takes jobs, and says by fences of
 * its own when the picture is on the canvas, when it is not read any more, and when the bitstream is
 * written. Inside is libx264 through libavcodec. Neither side is copied: the picture's memory is
 * wrapped, the bitstream is written where the job says. One thread at a time.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "board.h"
#include "canvas.h"
#include "fence.h"
#include "picture.h"
#include "slot.h"

struct encoder;

/* What the device says, once. */
struct encoder_output {
	struct fence fence;
	struct board *board; /* noted just before */
};

/* Lives, where it is, at least until `released` is signalled. */
struct encoder_job {
	const struct fence_kind *fences;
	struct picture picture; /* must stay as it is until `released` is signalled */
	size_t picture_size;
	uint64_t frame;       /* the number that is stamped into it */
	struct slot slot;     /* must be free */
	struct canvas canvas; /* must be free; without memory there is none, and no `shown` */
	struct encoder_output shown;    /* the picture is on the canvas */
	struct encoder_output released; /* the picture is not read any more */
	struct encoder_output done;     /* the slot is filled */
	/* results, complete when the job has run */
	unsigned int checks, mismatches; /* of the stamp, before and after the picture was read */
	uint32_t found;                  /* the last one that was wrong; 0: not readable */
	size_t size;                     /* of the bitstream */
};

/* `error` gets a sentence of up to `error_size` bytes when something but memory fails. */
int encoder_create(unsigned int width, unsigned int height, unsigned int fps,
		   struct encoder **ret_encoder, char *error, size_t error_size);
void encoder_destroy(struct encoder *encoder); /* takes NULL */

/*
 * Run one job. The picture is released, whatever happens; the slot is only done when it worked.
 *   -EBADMSG  the picture was not the frame of the job, before or after   -EMSGSIZE  the slot is
 *   too small   -EIO  the encoder failed
 */
int encoder_run(struct encoder *encoder, struct encoder_job *job, char *error, size_t error_size);
