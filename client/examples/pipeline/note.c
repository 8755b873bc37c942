// SPDX-License-Identifier: MIT
#include "note.h"

#include <errno.h>
#include <string.h>

/* 64-bit FNV-1a */
#define FNV_BASIS UINT64_C(0xcbf29ce484222325)
#define FNV_PRIME UINT64_C(0x100000001b3)

_Static_assert(sizeof(struct note) <= FBK_FRAME_USER_MAX, "a note travels with its frame");

void note_write(struct fbk_frame_meta *meta, const struct note *note)
{
	meta->user_size = sizeof(*note);
	memcpy(meta->user, note, sizeof(*note));
}

int note_read(const struct fbk_frame_meta *meta, struct note *ret_note)
{
	struct note note;
	if (meta->user_size != sizeof(note)) {
		return -EPROTO;
	}
	memcpy(&note, meta->user, sizeof(note));
	if (note.number == 0) {
		return -EPROTO;
	}
	*ret_note = note;
	return 0;
}

uint64_t note_checksum(const void *data, size_t size)
{
	const uint8_t *bytes = data;
	uint64_t sum = FNV_BASIS;
	for (size_t i = 0; i < size; i++) {
		sum = (sum ^ bytes[i]) * FNV_PRIME;
	}
	return sum;
}
