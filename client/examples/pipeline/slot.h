// SPDX-License-Identifier: MIT
/*
 * The ring of encoded frames: equal slots in one shared memory, frame n in slot n % count. A slot has a
 * header, the bitstream, and at its end the frame number again. A reader that finds both numbers right
 * before and after reading has read one whole frame. Only the encoder writes; the sender has a read-only
 * mapping.
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

/* Room for any plausible frame of this size: whole pages. */
size_t slot_bytes(unsigned int width, unsigned int height);

struct slot slot_at(void *ring, size_t slot_size, uint64_t frame);

uint8_t *slot_data(struct slot slot);
size_t slot_capacity(struct slot slot); /* bytes of data, with libavcodec's padding */

/* Writer: the slot carries no frame number between begin and end. */
void slot_begin(struct slot slot);
void slot_end(struct slot slot, uint64_t frame, size_t size, bool key);

/* Reader: 0, or -EBADMSG unless it holds exactly this frame. */
int slot_check(struct slot slot, uint64_t frame);
size_t slot_data_size(struct slot slot); /* at most the capacity, even if the header is wrong */
bool slot_key(struct slot slot);
