// SPDX-License-Identifier: MIT
/*
 * What a frame of the pipeline says besides what every frame can say: its number, and a checksum of what it
 * consists of. It travels in the application's own bytes of the frame's metadata. Not tied to a thread.
 */
#pragma once

#include <fencebroker.h>
#include <stddef.h>
#include <stdint.h>

struct note {
	uint64_t number; /* of the frame, from 1; may leave out some only after FBK_FRAME_DISCONT */
	uint64_t checksum; /* of a bitstream */
};

void note_write(struct fbk_frame_meta *meta, const struct note *note);

/*   -EPROTO  there is none */
int note_read(const struct fbk_frame_meta *meta, struct note *ret_note);

uint64_t note_checksum(const void *data, size_t size);
