// SPDX-License-Identifier: MIT
/*
 * An encoder as a device without memory fences. It takes jobs, and signals its own fences when the
 * picture is on the canvas, when it no longer reads the picture, and when the bitstream is written. It
 * uses libx264 through libavcodec. It copies nothing: it wraps the picture's memory and writes the
 * bitstream where the job says. One thread at a time.
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

/* A fence of the device, signalled once. */
struct encoder_output {
	struct fence fence;
	struct board *board; /* written just before the signal */
};

/* Must not move or end before `released` is signalled. */
struct encoder_job {
	const struct fence_kind *fences;
	struct picture picture; /* must not change until `released` is signalled */
	size_t picture_size;
	uint64_t frame;                 /* number stamped into the picture */
	struct slot slot;               /* must be free */
	struct canvas canvas;           /* must be free; without memory: no canvas and no `shown` */
	struct encoder_output shown;    /* the picture is on the canvas */
	struct encoder_output released; /* the picture is no longer read */
	struct encoder_output done;     /* the slot is filled */
	/* results, complete after encoder_run() */
	unsigned int checks, mismatches; /* of the stamp, before and after reading */
	uint32_t found;                  /* the last wrong number; 0: unreadable */
	size_t size;                     /* of the bitstream */
};

/* `error` gets a sentence of up to `error_size` bytes on any failure except -ENOMEM. */
int encoder_create(unsigned int width, unsigned int height, unsigned int fps,
		   struct encoder **ret_encoder, char *error, size_t error_size);
void encoder_destroy(struct encoder *encoder); /* takes NULL */

/*
 * Run one job. `released` is signalled in every case, `done` only on success.
 *   -EBADMSG  the picture was not the frame of the job, before or after   -EMSGSIZE  the slot is
 *   too small   -EIO  the encoder failed
 */
int encoder_run(struct encoder *encoder, struct encoder_job *job, char *error, size_t error_size);
