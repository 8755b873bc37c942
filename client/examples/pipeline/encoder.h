// SPDX-License-Identifier: MIT
/*
 * An encoder as a device without memory fences. It takes pictures, signals its own fences when a picture is
 * on the canvas and when it no longer reads it, and gives packets. With B-frames it holds several pictures,
 * and is done with them in another order than they came in. It uses libx264 through libavcodec. It copies
 * nothing: it wraps the picture's memory and writes the bitstream where it is told to. One thread at a time.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "board.h"
#include "canvas.h"
#include "fence.h"
#include "picture.h"

#define ENCODER_PICTURES_MAX 4 /* that it holds at once: B-frames, and the one after them */
#define ENCODER_WINDOW       8 /* from the oldest of them to the newest there are fewer */

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
	struct canvas canvas;           /* must be free; without memory: no canvas and no `shown` */
	struct encoder_output shown;    /* the picture is on the canvas */
	struct encoder_output released; /* the picture is no longer read */
	/* results */
	unsigned int readers;            /* the codec's reference, and the packet that is to come */
	unsigned int checks, mismatches; /* of the stamp, before and after reading */
	uint32_t found;                  /* the last wrong number; 0: unreadable */
};

/* Where the next packet goes, and what came there. */
struct encoder_packet {
	uint8_t *memory; /* must be free */
	size_t room;
	/* results */
	struct encoder_job *job; /* of its picture */
	size_t size;
	bool key;        /* it begins with the stream's headers */
	int64_t reorder; /* frames from its turn to be shown back to its turn to be decoded */
};

/* `b_frames` 0: each packet comes at once. `error` gets a sentence of up to `error_size` bytes on any failure
 * except -ENOMEM. */
int encoder_create(unsigned int width, unsigned int height, unsigned int fps, unsigned int b_frames,
		   struct encoder **ret_encoder, char *error, size_t error_size);
void encoder_destroy(struct encoder *encoder); /* takes NULL; signals nothing */

/*
 * Put a picture in, or NULL: there are no more; then take the packet that comes of it, if one does. `released`
 * is signalled when the picture's packet has come.
 *   -EAGAIN   (encoder_get) none yet: put another picture in
 *   -ENODATA  (encoder_get) all are out
 *   -EBADMSG  a picture was not the frame of the job, before or after
 *   -EMSGSIZE the packet's room is too small   -EIO  the encoder failed
 */
int encoder_put(struct encoder *encoder, struct encoder_job *job, struct encoder_packet *packet,
		char *error, size_t error_size);
int encoder_get(struct encoder *encoder, struct encoder_packet *packet, char *error,
		size_t error_size);
