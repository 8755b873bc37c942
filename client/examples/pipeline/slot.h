// SPDX-License-Identifier: MIT
/*
 * The ring of encoded frames: equal slots in one shared memory, frame n in slot n % count. A slot is
 * a header, the bitstream, and at its very end the frame number once more; who sees both numbers
 * right before and after reading has read one frame and not half of the next. Written by the encoder
 * alone, read by the sender in a mapping that can't write.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SLOT_COUNT 8

struct slot {
	uint8_t *start;
	size_t size;
};

/* Room for any sane frame of this size: whole pages. */
size_t slot_bytes(unsigned int width, unsigned int height);

struct slot slot_at(void *ring, size_t slot_size, uint64_t frame);

uint8_t *slot_data(struct slot slot);
size_t slot_capacity(struct slot slot); /* bytes of data, libavcodec's padding included */

/* Writer: from begin to end it is nobody's frame. */
void slot_begin(struct slot slot);
void slot_end(struct slot slot, uint64_t frame, size_t size, bool key);

/* Reader: 0, or -EBADMSG unless it holds exactly this frame. */
int slot_check(struct slot slot, uint64_t frame);
size_t slot_data_size(struct slot slot); /* bounded by the capacity, whatever is written there */
bool slot_key(struct slot slot);
